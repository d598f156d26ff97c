"""The protocol of a connection under test: a real socket, a loop of its own in a thread."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from mayfly.entrypoints.http.protocol import BoundedProtocol
from mayfly.entrypoints.http.server import bind

PATIENCE_SECONDS = 10.0


@dataclass
class Served:
    """An application that is answered for at `address`."""

    address: tuple[str, int]
    server: uvicorn.Server
    thread: threading.Thread
    opened: contextlib.ExitStack

    def connect(self) -> socket.socket:
        """A client that takes little without reading, closed with the server."""
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        made.settimeout(PATIENCE_SECONDS)
        made.connect(self.address)
        return self.opened.enter_context(made)

    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def stop(self) -> None:
        """As at SIGTERM; returns when it has ended."""
        self.server.should_exit = True
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive()


@contextlib.contextmanager
def served(app: ASGIApp, **how: Any) -> Iterator[Served]:
    listener = bind("127.0.0.1", 0)
    config = uvicorn.Config(app, http=BoundedProtocol, loop="uvloop", ws="none", lifespan="off", log_config=None, **how)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    with contextlib.closing(listener), contextlib.ExitStack() as opened:
        one = Served(listener.getsockname(), server, thread, opened)
        yield one
        one.stop()


def rest(connection: socket.socket) -> bytes:
    """All that still comes, until the server ends it."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65_536):
            received += data
    return bytes(received)


def flood(connection: socket.socket, piece: bytes, most: int = 64 * 1024 * 1024) -> bytes:
    """Send the piece again and again, until the server has enough of it; the answer."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < most:
            connection.sendall(piece)
            sent += len(piece)
    assert sent < most, "it took everything"
    return rest(connection)
