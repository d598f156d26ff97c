"""Serving the application on a socket that is bound before anything else is promised."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

import uvicorn
from fastapi import FastAPI

from mayfly.entrypoints.http.owner.protocol import OwnerProtocol
from mayfly.entrypoints.http.protocol import LONGEST_HEAD_SECONDS, LONGEST_UNREAD_SECONDS, BoundedProtocol
from mayfly.entrypoints.http.ranges import ResponseCut
from mayfly.entrypoints.http.tls import Certificate
from mayfly.model.errors import MayflyError, Misconfigured
from mayfly.model.instant import SECOND
from mayfly.ports.clock import Clock

_BACKLOG = 512
_DRAIN_SECONDS = 5
_SEND_BUFFER_BYTES = 128 * 1024
"""What the kernel may hold of a response (Linux allows itself twice that)."""
_TICKS_A_SECOND = 10
"""How often uvicorn's loop calls `on_tick`."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one.

    Raises:
        Misconfigured: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _bound_what_lies_unread(listener)
    try:
        listener.bind((host, port))
    except OSError as fault:
        listener.close()
        raise Misconfigured(
            f"cannot listen on {host}:{port} ({fault.strerror}); give another --port, or 0 for a free one"
        ) from None
    listener.listen(_BACKLOG)
    return listener


def _bound_what_lies_unread(listener: socket.socket) -> None:
    """Connections take these over. What the kernel holds for a reader is out of our reach: let it be little."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    # Linux: even after we have closed, a reader that takes nothing is not waited for longer than this.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(LONGEST_UNREAD_SECONDS * 1_000))


def address_of(listener: socket.socket, *, tls: bool = False) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@dataclass(frozen=True, slots=True)
class Door:
    """Where an application is asked: its listening socket, and with `certificate` over TLS."""

    app: FastAPI
    listener: socket.socket
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Occasions:
    """What is called on the event loop, which must not be kept waiting: once connections are answered, about every
    second, and as soon as the end begins: what would never end by itself is ended there."""

    listening: Callable[[], None]
    beat: Callable[[], None]
    stopping: Callable[[], None]


def serve(door: Door, owner: Door, clock: Clock, occasions: Occasions) -> None:
    """Serve until SIGINT or SIGTERM, then let requests under way end for a few seconds.

    The signal is raised again afterwards, for whatever handler the caller had set.

    Args:
        door: the one on the network.
        owner: the one on the owner's socket.
    """
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    _Server(door, owner, clock, occasions).run()


def _config(app: FastAPI, protocol: type[BoundedProtocol]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        # It would believe whoever comes from loopback; whom a proxy speaks for is decided in `origin`.
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )


class _Server(uvicorn.Server):
    """Two applications on one loop, each on a listener of its own.

    Dates its responses by the clock that images die by: who counts down to a death needs that one.
    """

    def __init__(self, door: Door, owner: Door, clock: Clock, occasions: Occasions) -> None:
        super().__init__(_config(door.app, BoundedProtocol))
        self._door = door
        self._owner = owner
        self._owner_config = _config(owner.app, OwnerProtocol)
        self._clock = clock
        self._occasions = occasions

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        assert sockets is None, "the listeners are the doors'"
        await super().startup(sockets=[])
        self._owner_config.load()
        loop = asyncio.get_running_loop()
        certificate = self._door.certificate
        self.servers.append(
            await loop.create_server(
                self._protocol_of(self.config),
                sock=self._door.listener,
                backlog=_BACKLOG,
                ssl=certificate.context if certificate else None,
                ssl_handshake_timeout=LONGEST_HEAD_SECONDS if certificate else None,
            )
        )
        self.servers.append(
            await loop.create_unix_server(
                self._protocol_of(self._owner_config), sock=self._owner.listener, backlog=_BACKLOG
            )
        )
        if certificate:
            loop.add_signal_handler(signal.SIGHUP, certificate.read_again)
        self._occasions.listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        assert sockets is None, "the listeners are the doors'"
        self._occasions.stopping()
        await super().shutdown([self._door.listener, self._owner.listener])

    def _protocol_of(self, config: uvicorn.Config) -> Callable[[], asyncio.Protocol]:
        return lambda: config.http_protocol_class(  # type: ignore[call-arg]
            config=config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def on_tick(self, counter: int) -> bool:
        done = await super().on_tick(counter)
        if counter % _TICKS_A_SECOND == 0:
            self._occasions.beat()
            # A clock file that cannot be read is told by the routes that need the time; here the date goes missing.
            with contextlib.suppress(MayflyError, OSError):
                date = formatdate(self._clock.now() / SECOND, usegmt=True).encode()
                self.server_state.default_headers = [(b"date", date), *self.server_state.default_headers]
        return done


def _is_news(entry: logging.LogRecord) -> bool:
    """No traceback for a response that was cut off on purpose, nor for one that a stop did not wait for."""
    fault = entry.exc_info[1] if entry.exc_info else None
    return not isinstance(fault, ResponseCut | asyncio.CancelledError)
