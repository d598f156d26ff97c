"""The line to the owner: what many threads ask is carried in few requests, within one session.

Two lanes, each with a thread and a connection of its own: what is answered at once, and what waits for the disk. While
a lane awaits its answer, whatever is asked gathers for its next request; so the owner makes one commit of what many
threads hand over.

    the owner is away        Unavailable, at once; a new session is tried for every second
    the connection breaks    LeaseLost for what was asked and not answered: it may have been done, or not
    the session is unknown   LeaseLost, likewise

After either a session is opened anew. What was entered in an older one is under way no more.
"""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from mayfly import __version__
from mayfly.adapters.owner.lane import Asked, Away, Broken, Lane
from mayfly.adapters.owner.told import Told
from mayfly.model import errors
from mayfly.model.errors import LeaseLost, MayflyError, Misconfigured, Unavailable
from mayfly.model.terms import Terms
from mayfly.model.wire import terms_of

HEARTBEAT_SECONDS = 1.0
_KEPT_OPEN_SECONDS = 10.0
"""The owner closes a connection on which nothing comes for 30 s."""
_CLOSING_SECONDS = 5.0
_AWAY = "the owner of the data folder does not answer; it is asked again every second"
_UNKNOWN = 409


_FAULTS = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, MayflyError)
}


class _Session:
    def __init__(self, number: int, name: str, terms: Terms) -> None:
        self.number = number
        self.name = name
        self.terms = terms


class OwnerLine:
    """Thread-safe. Closed by `close`, once."""

    def __init__(self, path: Callable[[], AbstractContextManager[str]]) -> None:
        """`path`: the socket's, short enough for an address while it lasts; asked for at each connection."""
        self.told = Told()
        """What the owner last said of the time."""
        self.each_second: list[Callable[[], None]] = []
        """Called, on a thread of the line's, about every second and more often, whether or not the owner answers."""
        self._opened = threading.Condition()
        self._session: _Session | None = None
        self._sessions = 0
        self._why_none: MayflyError = Unavailable(_AWAY)
        self._of_thread = threading.local()
        self._quick = Lane("owner-quick", path, self._carry, HEARTBEAT_SECONDS)
        self._durable = Lane("owner-durable", path, self._carry, _KEPT_OPEN_SECONDS)

    def open(self, patience_seconds: float) -> None:
        """Wait for the first session.

        Raises:
            Misconfigured: the owner is of another version.
            Unavailable: there was none in that time; it is tried for on.
        """
        self._quick.start()
        self._durable.start()
        with self._opened:
            self._opened.wait_for(
                lambda: self._session is not None or isinstance(self._why_none, Misconfigured), patience_seconds
            )
            if self._session is None:
                raise self._why_none

    def terms(self) -> Terms:
        """Those of the present session. What this thread then enters, it enters in this one or not at all: an id that
        was made by old terms is none any more.

        Raises:
            Unavailable: there is no session now.
        """
        session = self._session
        if session is None:
            raise Unavailable(str(self._why_none))
        self._of_thread.session = session.number
        return session.terms

    def enter(self, operation: Mapping[str, Any]) -> Any:
        """`ask`, in the session whose terms this thread was told last.

        Raises:
            LeaseLost: that one has ended.
        """
        return self._ask(self._quick, operation, getattr(self._of_thread, "session", None))

    def ask(self, operation: Mapping[str, Any]) -> Any:
        """What is answered at once. Raises what the owner answers, or Unavailable, or LeaseLost."""
        return self._ask(self._quick, operation, None)

    def ask_durable(self, operation: Mapping[str, Any]) -> Any:
        """What waits for the disk. Raises as `ask`."""
        return self._ask(self._durable, operation, None)

    def tell(self, operation: Mapping[str, Any]) -> None:
        """Ask, and wait for no answer: it goes with what is asked next, a second later at the latest."""
        self._quick.put(Asked(_text(operation), awaited=False))

    def close(self) -> None:
        """End the session, after what was asked before."""
        self._durable.close(_CLOSING_SECONDS)
        session = self._session
        self._quick.close(_CLOSING_SECONDS, None if session is None else f"/sessions/{session.name}")
        self._session = None

    def _ask(self, lane: Lane, operation: Mapping[str, Any], number: int | None) -> Any:
        asked = Asked(_text(operation), number)
        lane.put(asked)
        result: dict[str, Any] = asked.answer.result()
        if "ok" in result:
            return result["ok"]
        raise _fault(result)

    def _carry(self, lane: Lane, group: list[Asked]) -> None:
        """One request with its answer. Every one of the group is answered."""
        self._ask_in_session(lane, group)
        if lane is self._quick and self.told.now() is not None:
            for call in self.each_second:
                call()

    def _ask_in_session(self, lane: Lane, group: list[Asked]) -> None:
        session = self._session
        if session is None and lane is self._quick:
            session = self._open_session(lane)
        if session is None:
            self._refuse(group, Unavailable(str(self._why_none)))
            return
        here = []
        for asked in group:
            if asked.session in (None, session.number):
                here.append(asked)
            else:
                asked.refuse(LeaseLost("the session whose terms held has ended: do it again by those of the new one"))
        operations = ",".join(asked.text for asked in here)
        try:
            status, told = lane.post("/intake", f'{{"session":"{session.name}","operations":[{operations}]}}')
        except Away as fault:
            self._refuse(here, Unavailable(str(fault)))
            self._end(session, Unavailable(str(fault)))
        except Broken as fault:
            self._refuse(here, LeaseLost(f"the owner went away before it answered ({fault})"))
            self._end(session, Unavailable(_AWAY))
        else:
            self._answer(session, here, status, told)

    def _answer(self, session: _Session, group: list[Asked], status: int, told: Mapping[str, Any]) -> None:
        if status == _UNKNOWN:
            self._refuse(group, LeaseLost("the owner knows the session no more"))
            self._end(session, Unavailable(_AWAY))
        elif "results" not in told:
            self._refuse(group, Unavailable(f"the owner refused this: {told.get('detail')}"))
        else:
            self.told.heard(told["now"], told["held"])
            for asked, result in zip(group, told["results"], strict=True):
                asked.answer.set_result(result)

    def _open_session(self, lane: Lane) -> _Session | None:
        try:
            status, told = lane.post("/sessions", json.dumps({"version": __version__}))
        except (Away, Broken) as fault:
            self._end(None, Unavailable(str(fault) if isinstance(fault, Away) else _AWAY))
            return None
        if "session" not in told:
            detail = str(told.get("detail"))
            self._end(None, Misconfigured(detail) if status == _UNKNOWN else Unavailable(detail))
            return None
        self.told.heard(told["now"], told["held"])
        with self._opened:
            self._sessions += 1
            self._session = _Session(self._sessions, told["session"], terms_of(told["terms"]))
            self._opened.notify_all()
            return self._session

    def _end(self, session: _Session | None, why: MayflyError) -> None:
        with self._opened:
            self._why_none = why
            if self._session is session:
                self._session = None
            self._opened.notify_all()

    @staticmethod
    def _refuse(group: list[Asked], fault: MayflyError) -> None:
        for asked in group:
            asked.refuse(fault)


def _text(operation: Mapping[str, Any]) -> str:
    return json.dumps(operation, separators=(",", ":"))


def _fault(result: Mapping[str, Any]) -> MayflyError:
    """The error that the owner, or the line, names; anew for each who is told."""
    kind = _FAULTS.get(str(result["fault"]), Unavailable)
    return kind(str(result["detail"]))
