"""One instant that a whole call has to be over by, however slowly the other side dribbles."""

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any


class Deadline:
    """An instant of `time.monotonic`."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._at = now() + seconds

    def left(self) -> float:
        """Seconds, above 0.

        Raises:
            TimeoutError: it is past.
        """
        left = self._at - self._now()
        if left <= 0:
            raise TimeoutError
        return left


class TimedSocket(socket.socket):
    """A socket whose every wait ends by one deadline. Its timeout alone would begin anew with each byte."""

    deadline: Deadline

    def recv_into(self, *args: Any, **options: Any) -> int:
        self.settimeout(self.deadline.left())
        return super().recv_into(*args, **options)

    def sendall(self, *args: Any) -> None:
        self.settimeout(self.deadline.left())
        super().sendall(*args)


class TimedTlsSocket(ssl.SSLSocket):
    """The same over TLS."""

    deadline: Deadline

    def recv_into(self, *args: Any, **options: Any) -> int:
        self.settimeout(self.deadline.left())
        return super().recv_into(*args, **options)

    def send(self, *args: Any) -> int:
        self.settimeout(self.deadline.left())
        return super().send(*args)


def connect(host: str, port: int, deadline: Deadline) -> TimedSocket:
    """To the first of the host's addresses that answers.

    Raises:
        OSError: none does. TimeoutError: not in time.
    """
    fault: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = TimedSocket(family, kind, protocol)
        connection.deadline = deadline
        try:
            connection.settimeout(deadline.left())
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            fault = error
        else:
            return connection
    raise fault or OSError("no address")
