"""One lane of the line: a thread, a connection, and what waits for its next request."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any

from mayfly.model.errors import MayflyError, Unavailable

_MOST_OPERATIONS = 128
_MOST_BYTES = 512 * 1024
"""Of operations in one request: half of what the owner reads."""
_GATHERING_SECONDS = 0.0015
"""Where several ask at a time, so long is waited for the others: a request costs the owner more than ten operations
(measured with 8 threads: 0.9 to 1.1 requests an image instead of 1.5, and a third less of the owner's CPU)."""
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 120.0
"""A write may wait long for a slow disk; the session lasts as long as the owner is at it."""
_CLOSED = "the line to the owner is closed"


class Away(Exception):
    """Nobody took the request."""


class Broken(Exception):
    """The request was sent, and its answer did not come."""


class Asked:
    """One operation under way. `session`: the number of the only session it may go into; None: any. `awaited`: whether
    somebody waits for its answer; what nobody waits for goes with the next request."""

    __slots__ = ("answer", "awaited", "session", "text")

    def __init__(self, text: str, session: int | None = None, *, awaited: bool = True) -> None:
        self.text = text
        self.session = session
        self.awaited = awaited
        self.answer: Future[dict[str, Any]] = Future()

    def refuse(self, fault: MayflyError) -> None:
        """Unless it was answered before."""
        if not self.answer.done():
            self.answer.set_result({"fault": type(fault).__name__, "detail": str(fault)})


class Lane:
    def __init__(
        self,
        name: str,
        path: Callable[[], AbstractContextManager[str]],
        carry: Callable[["Lane", list[Asked]], None],
        idle_seconds: float,
    ) -> None:
        """`carry` answers every operation of the group it is given. It is given an empty one at the start, and where
        nothing was asked for `idle_seconds`."""
        self._path = path
        self._carry = carry
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._waiting: deque[Asked] = deque()
        self._awaited = False
        self._crowded = False
        self._closed = False
        self._last_path: str | None = None
        self._connection: _UnixConnection | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, asked: Asked) -> None:
        with self._changed:
            if not self._closed:
                self._waiting.append(asked)
                if asked.awaited:
                    self._awaited = True
                    self._changed.notify()
                return
        asked.refuse(Unavailable(_CLOSED))

    def close(self, timeout_seconds: float, delete: str | None = None) -> None:
        """Nothing more is taken; what was asked before is answered. `delete`: a path to be deleted at the end."""
        with self._changed:
            self._closed, self._last_path = True, delete
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def post(self, path: str, body: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON. For the lane's own thread.

        Raises:
            Away, Broken
        """
        return self._request("POST", path, body)

    def _run(self) -> None:
        group: list[Asked] | None = []
        while group is not None:
            try:
                self._carry(self, group)
            except Exception as fault:
                # Nobody who asked is left waiting, whatever an answer held.
                self._hang_up()
                for asked in group:
                    asked.refuse(Unavailable(f"the owner's answer was not understood ({type(fault).__name__})"))
            group = self._next()
        if self._last_path is not None:
            # Otherwise it ends by its silence.
            with contextlib.suppress(Away, Broken):
                self._request("DELETE", self._last_path, None)
        self._hang_up()

    def _next(self) -> list[Asked] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._awaited or self._closed, self._idle_seconds)
        if self._crowded:
            time.sleep(_GATHERING_SECONDS)
        with self._changed:
            self._awaited = False
            if self._closed and not self._waiting:
                return None
            group: list[Asked] = []
            size = 0
            while self._waiting:
                size += len(self._waiting[0].text)
                if len(group) == _MOST_OPERATIONS or (group and size > _MOST_BYTES):
                    self._awaited = True
                    break
                group.append(self._waiting.popleft())
            self._crowded = sum(asked.awaited for asked in group) > 1
            return group

    def _request(self, method: str, path: str, body: str | None) -> tuple[int, dict[str, Any]]:
        connection = self._connection or self._connect()
        try:
            connection.request(method, path, body, {} if body is None else {"Content-Type": "application/json"})
            response = connection.getresponse()
            answered = response.read()
            return response.status, json.loads(answered) if answered else {}
        except (OSError, http.client.HTTPException, ValueError) as fault:
            self._hang_up()
            raise Broken(str(fault) or type(fault).__name__) from None

    def _connect(self) -> "_UnixConnection":
        connection = _UnixConnection(self._path)
        try:
            connection.connect()
        except (OSError, MayflyError) as fault:
            connection.close()
            raise Away(f"the owner of the data folder does not answer ({fault})") from None
        self._connection = connection
        return connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Callable[[], AbstractContextManager[str]]) -> None:
        super().__init__("owner")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_CONNECT_SECONDS)
        with self._path() as path:
            self.sock.connect(path)
        self.sock.settimeout(_ANSWER_SECONDS)
