"""What systemd is told of a service of `Type=notify`: datagrams to the socket that it names (sd_notify(3)).

Without `NOTIFY_SOCKET` nobody listens and nothing is sent.
"""

import contextlib
import os
import socket
from collections.abc import Callable, Mapping

_MORE_TIME = "EXTEND_TIMEOUT_USEC=30000000"
"""Half a minute: said each second of a long start, it keeps one that purges for an hour from being taken for dead."""


class ServiceManager:
    """`beat` and `stopping` never wait and never raise."""

    def __init__(self, environment: Mapping[str, str], ready: Callable[[], bool], pid: int | None = None) -> None:
        """`ready` tells whether `/readyz` would answer 200; it may raise what it likes while that is not known."""
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract address (unix(7)).
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        watched = environment.get("WATCHDOG_PID", str(pid or os.getpid())) == str(pid or os.getpid())
        self._watched = watched and "WATCHDOG_USEC" in environment
        self._ready = ready
        self._told_ready = False

    def beat(self) -> None:
        """Say that the server lives and, once it is so, that it is ready. To be called every second."""
        if not self._address:
            return
        lines = []
        if not self._told_ready:
            with contextlib.suppress(Exception):  # a clock that cannot be read: then it is not ready
                self._told_ready = self._ready()
            lines += ["READY=1", "STATUS=ready"] if self._told_ready else [_MORE_TIME, "STATUS=not ready yet"]
        if self._watched:
            lines.append("WATCHDOG=1")
        self._tell(lines)

    def stopping(self) -> None:
        self._tell(["STOPPING=1", "STATUS=finishing what is in hand"])

    def _tell(self, lines: list[str]) -> None:
        if not lines or not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto("\n".join(lines).encode(), self._address)
