"""How this server is reached from outside: by which names, over TLS or not, through a proxy or not."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
"""What proxies of all kinds add, unless told not to."""


@dataclass(frozen=True, slots=True)
class Reach:
    """`loopback`: it listens on loopback alone. `names`: those it is known by elsewhere, lower case."""

    loopback: bool = True
    tls: bool = False
    behind_proxy: bool = False
    names: frozenset[str] = frozenset()

    @property
    def open(self) -> bool:
        """Whoever comes without a token is the admin. Not behind a proxy: through it the whole world comes from
        loopback. A name it is known by elsewhere leads through one, too, whether that was said or not."""
        return self.loopback and not self.behind_proxy and not self.names

    def answers_to(self, host: str) -> bool:
        """Whether a `Host` header, port and all, names this server.

        What this keeps out is a name elsewhere that is made to resolve to this machine. Nobody resolved an address.
        """
        name = host_of(host)
        if name is None:
            return False
        return is_loopback(name) or name in self.names or (not self.open and _is_address(name))

    def scheme(self, headers: Headers) -> str:
        """`http` or `https`, as the caller sees it.

        Of what a proxy says, its nearest word alone counts; without one it is what we speak ourselves.
        """
        said = ",".join(headers.getlist("x-forwarded-proto")).rpartition(",")[2].strip().lower()
        if self.behind_proxy and said in _DEFAULT_PORTS:
            return said
        return "https" if self.tls else "http"


LOOPBACK = Reach()
"""One machine's own: nothing in front of it, and everybody who reaches it is its admin."""


def origin_of(request: Request) -> str:
    """What absolute addresses of this server begin with, for this caller: `https://photos.example.org`.

    The guard has let `Host` pass by then.
    """
    reach: Reach = request.app.state.reach
    return f"{reach.scheme(request.headers)}://{request.headers['host'].lower()}"


def passed_on(headers: Headers) -> bool:
    """Whether a request says that it came through a proxy."""
    return any(name in headers for name in _PASSED_ON)


def same_origin(one: str, other: str) -> bool:
    """Whether two origins are one: scheme, host and port (RFC 6454). `null`, and what is none, equals nothing."""
    first = _parts_of(one)
    return first is not None and first == _parts_of(other)


def host_of(netloc: str) -> str | None:
    """The host of a `Host` header without its port; None where it is malformed or names a user or a path."""
    try:
        parts = urlsplit(f"//{netloc}")
        valid = parts.username is None and parts.path == "" and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts.hostname if valid and not parts.query and not parts.fragment else None


def is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _parts_of(origin: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.hostname is None or parts.username is not None or parts.path or parts.query or parts.fragment:
        return None
    return parts.scheme, parts.hostname, port or _DEFAULT_PORTS.get(parts.scheme)
