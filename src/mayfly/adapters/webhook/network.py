"""Connections to addresses that were looked at first, within a time that nobody can stretch.

A name is resolved once for each connection, every address it resolves to is checked, and the connection is made to
one of these: what the name says a moment later changes nothing.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore

from mayfly.model.errors import Unavailable

_NAT64 = IPv6Network("64:ff9b::/96")
_IPV6_INTERNET = IPv6Network("2000::/3")
"""All that was ever given out of IPv6 (RFC 4291, section 2.4, and IANA's registry). `is_global` says yes to much beside
it: site-local addresses, NAT64 of one's own (RFC 8215), IPv4 in forms that nobody uses any more."""


def is_public(text: str) -> bool:
    """Whether the address belongs to everybody's internet, and so does any that is wrapped in it."""
    address = ip_address(text.partition("%")[0])
    return all(_is_global(one) for one in _within(address))


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    known = isinstance(address, IPv4Address) or address in _IPV6_INTERNET or address in _NAT64
    return known and address.is_global and not address.is_multicast


def _within(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    yield address
    if isinstance(address, IPv6Address):
        wrapped = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            wrapped.append(IPv4Address(int(address) & 0xFFFF_FFFF))
        yield from (one for one in wrapped if one is not None)


class Network(httpcore.SyncBackend):
    """Where a pool gets its connections. `private` says whether addresses of one's own network are meant: only there
    may a connection be without TLS."""

    def __init__(self, *, private: bool, tls: bool) -> None:
        super().__init__()
        self._private = private
        self._tls = tls
        self._deadline = threading.local()

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """What this thread sends and receives inside ends by then, however slowly it drips."""
        self._deadline.at = time.monotonic() + seconds
        try:
            yield
        finally:
            del self._deadline.at

    def left(self, timeout: float | None) -> float:
        """Seconds that the next step of this thread may take.

        Raises:
            TimeoutException: none.
        """
        left: float = self._deadline.at - time.monotonic()
        if left <= 0:
            raise httpcore.TimeoutException("the receiver took too long")
        return left if timeout is None else min(left, timeout)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._checked(host, port)
        fault: Exception | None = None
        for number, address in enumerate(addresses):
            # An address that answers nothing leaves time for the others.
            share = self.left(timeout) / (len(addresses) - number)
            try:
                return _Timed(super().connect_tcp(address, port, share, local_address, socket_options), self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as refused:
                fault = refused
        raise fault or Unavailable(f"{host} has no address")

    def _checked(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as fault:
            raise Unavailable(f"{host} cannot be resolved: {fault.strerror}") from None
        addresses = list(dict.fromkeys(str(where[0]) for *_, where in found))
        public = [is_public(address) for address in addresses]
        if not self._private and not all(public):
            raise Unavailable(
                f"{host} resolves to an address that is not public; allow_private = true allows it, if it is yours"
            )
        if not self._tls and any(public):
            raise Unavailable(f"{host} resolves to a public address, which is spoken to over https alone")
        return addresses


class _Timed(httpcore.NetworkStream):
    """A connection whose every step is bounded by the deadline of the thread that takes it."""

    def __init__(self, stream: httpcore.NetworkStream, network: Network) -> None:
        self._stream = stream
        self._network = network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._network.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._network.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._network.left(timeout))
        return _Timed(stream, self._network)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
