"""The end of a server, in bounded time.

What runs is told to stop when the signal comes, not one after another, and all of it is waited for together. What is
still at work then is left to end with the process: a power cut may come at any moment, so nothing depends on its being
finished. But nothing is closed under it either, for a descriptor closed under a thread may be another file's by the
time the thread writes to it.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from mayfly.model.journal import Journal

WAITS_SECONDS = 7.0
"""From the signal on, for everything. Requests under way have five of them."""
LAST_RESORT_SECONDS = 9.0
"""From the signal on. Whatever hangs by then, hangs: a disk, or a step of ours."""


class Stoppable(Protocol):
    def begin_stop(self) -> None:
        """Begin nothing more. Returns at once."""
        ...

    def stop(self, timeout_seconds: float) -> bool:
        """`begin_stop`, and wait so long at most. Whether all of it has ended."""
        ...


class Ending:
    """`begin` may be called from a signal's handler or an event loop, and more than once."""

    def __init__(self, parts: Sequence[Stoppable], journal: Journal, leave: Callable[[int], object] = os._exit) -> None:
        self._parts = parts
        self._journal = journal
        self._leave = leave
        self._deadline: float | None = None

    def begin(self) -> None:
        if self._deadline is not None:
            return
        self._deadline = time.monotonic() + WAITS_SECONDS
        last_resort = threading.Timer(LAST_RESORT_SECONDS, self.leave_now)
        last_resort.daemon = True
        last_resort.start()
        for part in self._parts:
            part.begin_stop()

    def wait(self) -> bool:
        """Whether everything has ended, so that what it used can be closed."""
        self.begin()
        ended = [part.stop(self._left()) for part in self._parts]
        # What requests still do in threads of the web framework: the interpreter would wait for these without limit.
        others = [thread for thread in threading.enumerate() if not thread.daemon and thread is not _main()]
        return ended_within(others, self._left()) and all(ended)

    def leave_now(self) -> None:
        """End the process as it stands. Exit code 0: nothing that was acknowledged is lost by it."""
        self._journal("cut_short")
        sys.stdout.flush()
        sys.stderr.flush()
        self._leave(0)

    def _left(self) -> float:
        assert self._deadline is not None
        return max(0.0, self._deadline - time.monotonic())


def ended_within(threads: Iterable[threading.Thread], seconds: float) -> bool:
    """Wait so long for all together. Whether they have ended, or never began."""
    deadline = time.monotonic() + seconds
    begun = [thread for thread in threads if thread.ident is not None]
    for thread in begun:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in begun)


def _main() -> threading.Thread:
    return threading.main_thread()
