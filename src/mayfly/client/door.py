"""The way to one server: addresses, credentials, and answers turned into errors."""

import ipaddress
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import httpx

from mayfly.client.errors import (
    CutError,
    MayflyClientError,
    NotMayflyError,
    UnreachableError,
    UntrustedError,
    UsageError,
    problem,
)

CONNECT_SECONDS = 5.0
MOST_CONNECTIONS = 64
"""More than any `concurrency`, so that nobody waits for a connection while the server has places."""
_LONGEST_PROBLEM_BYTES = 65_536

Shape = TypeVar("Shape")


class Door:
    """One server. Thread-safe.

    Args:
        url: scheme, host and port, perhaps a path before `/v1`.
        token: sent as a bearer to this server alone, and never in clear over a network.
        ca: a PEM file of the authorities that sign this server's certificate. None: those of the system.
        timeout: seconds without any progress.

    Raises:
        UsageError: the url, the token or the CA cannot be used.
        OSError: the CA cannot be read.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        ca: str | PathLike[str] | None,
        timeout: float,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self.url = _address(url)
        self._token = None if token is None else _sendable(token, self.url)
        self._ca = ca
        self._timeout = httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS), pool=None)
        self._transport = transport
        self._server = self._client(_trust(self.url, ca))
        self._elsewhere: httpx.Client | None = None
        self._opening = threading.Lock()

    def close(self) -> None:
        self._server.close()
        if self._elsewhere is not None:
            self._elsewhere.close()

    @contextmanager
    def open(self, method: str, path: str, **how: Any) -> Iterator[httpx.Response]:
        """One request; its answer, unread, once it is a success.

        Raises:
            UnreachableError, CutError, NotMayflyError, ProblemError: it is none.
        """
        headers = dict(how.pop("headers", None) or {})
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        with self._told(), self._server.stream(method, path, headers=headers, **how) as response:
            yield _checked(response)

    def ask(self, method: str, path: str, shape: Callable[[Mapping[str, Any]], Shape], **how: Any) -> Shape:
        """The answer's JSON, given a shape."""
        with self.open(method, path, **how) as response:
            response.read()
            try:
                return shape(response.json())
            except (ValueError, KeyError, TypeError, AttributeError) as fault:
                raise NotMayflyError(
                    f"what answers at {self.url} is no Mayfly server, or one of another version: correct the url",
                    response.status_code,
                ) from fault

    def tell(self, method: str, path: str, **how: Any) -> None:
        """A request whose answer says nothing but that it was done."""
        with self.open(method, path, **how) as response:
            response.read()

    def post_form(self, url: str, fields: Mapping[str, str], file: Any) -> None:
        """Post a form wherever it says, its file last. No credential goes with it: the form is one."""
        place = self.url.join(url)
        if place.scheme not in ("http", "https"):
            raise NotMayflyError(f"the upload form names no address: {place.scheme}", 0)
        here = (place.scheme, place.host, place.port) == (self.url.scheme, self.url.host, self.url.port)
        client = self._server if here else self._for_elsewhere()
        with (
            self._told(place),
            client.stream("POST", place, data=dict(fields), files=[("file", file)]) as response,
        ):
            _checked(response).read()

    def _for_elsewhere(self) -> httpx.Client:
        """For where forms lead that is not this server: the authority of its certificate has no say there."""
        with self._opening:
            if self._elsewhere is None:
                self._elsewhere = self._client(ssl.create_default_context())
            return self._elsewhere

    def _client(self, trust: ssl.SSLContext) -> httpx.Client:
        return httpx.Client(
            base_url=self.url,
            timeout=self._timeout,
            headers={"User-Agent": "mayfly-client", "Accept-Encoding": "identity"},
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS),
            verify=trust,
            transport=self._transport,
            # A proxy that is set for the web would never find a server on this machine.
            trust_env=not _is_loopback(self.url.host),
        )

    @contextmanager
    def _told(self, place: httpx.URL | None = None) -> Iterator[None]:
        """What goes wrong on the way, in our words."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as fault:
            raise _unreachable(place or self.url, fault) from fault
        except httpx.TimeoutException as fault:
            where = place or self.url
            raise UnreachableError(
                f"no answer from {_origin(where)} in time ({type(fault).__name__}): try again, or give it a longer "
                "timeout",
                sent=True,
            ) from fault
        except httpx.LocalProtocolError as fault:
            raise MayflyClientError(
                f"the request could not be sent as it was begun ({fault}): was the file changed meanwhile?"
            ) from fault
        except httpx.TransportError as fault:
            raise CutError(
                f"the server ended its answer early ({fault}): the image may have expired just now, or the server "
                "was stopped; try again"
            ) from fault


def _unreachable(url: httpx.URL, fault: httpx.TransportError) -> UnreachableError:
    if "CERTIFICATE_VERIFY_FAILED" in str(fault):
        return UntrustedError(
            f"the certificate of {_origin(url)} is of no authority trusted here ({fault}): name the file of its CA"
        )
    return UnreachableError(
        f"cannot reach the server at {_origin(url)} ({fault}): start it with `mayfly up`, or correct the url"
    )


def _checked(response: httpx.Response) -> httpx.Response:
    """A success as it is, anything else as an error."""
    if response.is_success:
        return response
    document = _document(response)
    if document is None:
        raise NotMayflyError(
            f"This is no Mayfly server ({response.status_code}): it answered without a problem document; "
            "correct the url, or see what stands between",
            response.status_code,
        )
    raise problem(response.status_code, document, retry_after(response.headers.get("Retry-After")))


def _document(response: httpx.Response) -> dict[str, Any] | None:
    """The problem a response tells of."""
    content = b""
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > _LONGEST_PROBLEM_BYTES:
            return None
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    if kind == "application/xml":
        return _told_in_xml(content.decode(errors="replace"))
    if kind != "application/problem+json":
        return None
    try:
        document = httpx.Response(response.status_code, content=content).json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _told_in_xml(text: str) -> dict[str, Any] | None:
    """The same of an object store's refusal of a form, `<Error><Code>…</Code><Message>…</Message>…`."""
    code, message = (re.search(rf"<{name}>([^<]*)</{name}>", text) for name in ("Code", "Message"))
    if code is None:
        return None
    return {"type": code[1], "title": code[1], "detail": message[1] if message else ""}


def retry_after(header: str | None) -> float | None:
    """Seconds, from a number of them or from a date (RFC 9110, section 10.2.3); None for what is neither."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
        return max(0.0, (at - datetime.now(at.tzinfo)).total_seconds())
    except ValueError:
        return None


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        address = httpx.URL("")
    if address.userinfo:
        raise UsageError("a url takes no user and no password: give a token")
    if address.scheme not in ("http", "https") or not address.host:
        raise UsageError(f"{url!r} is no address of a server: it reads like http://127.0.0.1:8080")
    return address


def _sendable(token: str, url: httpx.URL) -> str:
    token = token.strip()
    if not token or not token.isascii() or any(c.isspace() or not c.isprintable() for c in token):
        raise UsageError("a token is one printable word: see that the file or variable holds nothing else")
    if url.scheme == "http" and not _is_loopback(url.host):
        raise UsageError(
            f"a token is not sent in clear to {_origin(url)}: use https, or forward a port of this machine"
        )
    return token


def _trust(url: httpx.URL, ca: str | PathLike[str] | None) -> ssl.SSLContext:
    if url.scheme == "http":
        # Never used. Reading the system's authorities would take longer than a request.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=Path(ca).read_text(encoding="ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as fault:
        raise UsageError(f"{ca} holds no PEM certificates: name the file of the server's CA") from fault


def _origin(url: httpx.URL) -> str:
    """Scheme, host and port: a form's url may hold more than a log should."""
    return str(url.copy_with(path="/", query=None, fragment=None)).rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
