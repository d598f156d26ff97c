"""Trying again: what is worth it, and how long to wait in between."""

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from mayfly.client.errors import (
    ConflictError,
    CutError,
    MayflyClientError,
    NotMayflyError,
    ProblemError,
    RefusedError,
    UnavailableError,
    UnreachableError,
    UntrustedError,
    UsageError,
)

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 8.0
LONGEST_RETRY_AFTER_SECONDS = 30.0
"""A server that asks for more says that a person has to act: that is raised at once, and `retry_after` tells."""
_GATEWAY = frozenset({502, 503, 504})
"""What a proxy answers while the server behind it starts anew."""

Answer = TypeVar("Answer")


class Stopped(MayflyClientError):
    """Whoever asked for this wants it no more."""


class Persistence:
    """Repeats attempts for one client. Thread-safe.

    An address is waited for only once a Mayfly has answered there: a wrong url is told at once, a server that is
    started anew is waited for. When the retries of one request are spent on silence, it counts as silent again, so
    that of a thousand uploads only those under way wait for it.
    """

    def __init__(self, retries: int) -> None:
        if retries < 0:
            raise UsageError(f"retries is 0 or more; got {retries}")
        self._retries = retries
        self._answered = False

    def try_until_done(
        self,
        attempt: Callable[[], Answer],
        *,
        repeatable: bool,
        stop: threading.Event | None = None,
        come: Callable[[], int] = int,
    ) -> Answer:
        """What `attempt` returns, tried again where that may help.

        Args:
            repeatable: doing it twice does no harm. Otherwise only what surely was not done is tried again.
            stop: ends the pauses.
            come: how far it has come. A try that came further than any before it has all retries before it again.

        Raises:
            MayflyClientError: the last attempt's.
            Stopped: `stop` was set while waiting for the next.
        """
        stop = stop or threading.Event()
        tried, furthest = 0, come()
        while True:
            try:
                answer = attempt()
            except MayflyClientError as fault:
                self._answered |= isinstance(fault, ProblemError)
                if come() > furthest:
                    tried, furthest = 0, come()
                if tried == self._retries or not self._worth_it(fault, repeatable):
                    if isinstance(fault, UnreachableError | CutError):
                        self._answered = False
                    raise
                if stop.wait(pause_after(fault, tried)):
                    raise Stopped(f"stopped before it was tried again: {fault}") from fault
                tried += 1
            else:
                self._answered = True
                return answer

    def _worth_it(self, fault: MayflyClientError, repeatable: bool) -> bool:
        match fault:
            case UntrustedError():
                return False
            case UnreachableError():
                return self._answered and (repeatable or not fault.sent)
            case CutError():
                return self._answered and repeatable
            case NotMayflyError():
                return self._answered and repeatable and fault.status in _GATEWAY
            case UnavailableError():
                return (fault.retry_after or 0) <= LONGEST_RETRY_AFTER_SECONDS
            case ConflictError():
                # Our own earlier try, whose connection was lost: the server has not noticed yet.
                return fault.slug == "in-flight"
            case RefusedError():
                return repeatable and fault.slug == "body-cut"
        return False


def pause_after(fault: MayflyClientError, tried: int) -> float:
    """Seconds until the next try: doubling and half of it by chance, so that many clients do not come back as one."""
    asked = fault.retry_after if isinstance(fault, ProblemError) else None
    longest: float = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(tried, 16))
    chance = random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    return (asked or 0.0) + longest * chance
