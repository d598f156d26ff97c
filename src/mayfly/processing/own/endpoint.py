"""Calling a step that is an HTTP endpoint. The parent does it: the answer's bytes are looked at, never decoded here.

http.client, and not the client library that the command line uses: its limits of time are limits of one wait each, and
an endpoint that dribbles would hold the image for as long as it likes.
"""

import contextlib
import http.client
import json
import ssl
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

from mayfly.model.errors import AttemptFailed, Rejected
from mayfly.processing.own.answer import Raw
from mayfly.processing.own.deadline import Deadline, TimedSocket, TimedTlsSocket, connect
from mayfly.processing.own.step import HttpStep

LARGEST_FACTS = 8 * 1024
"""Bytes of the facts' header."""

_CHUNK = 256 * 1024
_GOOD, _REJECTED = 200, 422


class Endpoint:
    """One endpoint, and the connection to it, which is kept for the next image. Used by one thread."""

    def __init__(self, step: HttpStep, secret: str | None) -> None:
        self._step = step
        parts = urlsplit(step.url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Accept": "image/*", "Mayfly-Parameters": json.dumps(dict(step.parameters))}
        if secret is not None:
            self._headers["Authorization"] = f"Bearer {secret}"
        self._connection: _Connection | None = None

    def call(self, data: bytes | memoryview, media_type: str, largest: int) -> Raw:
        """Post the image, and read the answer up to `largest` bytes.

        Raises:
            Rejected: `step-rejected`.
            AttemptFailed: `step-unreachable`, `step-overdue`, `step-failed`, `step-output-too-large`.
        """
        try:
            return self._exchange(data, self._headers | {"Content-Type": media_type}, largest)
        except TimeoutError:
            raise AttemptFailed("step-overdue") from None
        except (OSError, http.client.IncompleteRead):
            raise AttemptFailed("step-unreachable") from None
        except (http.client.HTTPException, ValueError):
            raise AttemptFailed("step-failed") from None  # what answers there speaks no HTTP

    def close(self) -> None:
        """Harmless when repeated."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _exchange(self, data: bytes | memoryview, headers: Mapping[str, str], largest: int) -> Raw:
        deadline = Deadline(self._step.timeout)
        keep = False
        try:
            response = self._post(data, headers, deadline)
            if response.status == _REJECTED:
                raise Rejected("step-rejected")
            if response.status != _GOOD:
                raise AttemptFailed("step-failed")  # redirections too: it was this address that was named
            body = _read(response, largest)
            keep = not response.will_close
            return Raw(body, response.getheader("Mayfly-Facts"))
        finally:
            if not keep:
                self.close()

    def _post(
        self, data: bytes | memoryview, headers: Mapping[str, str], deadline: Deadline
    ) -> http.client.HTTPResponse:
        if self._connection:
            # The other side may have closed it meanwhile. A step is repeatable, so trying again does no harm.
            with contextlib.suppress(ConnectionError):
                return self._connection.post(self._target, data, headers, deadline)
            self.close()
        self._connection = _Connection(self._host, self._port, tls=self._tls)
        return self._connection.post(self._target, data, headers, deadline)


class _Connection(http.client.HTTPConnection):
    sock: TimedSocket | TimedTlsSocket | None

    def __init__(self, host: str, port: int, *, tls: bool) -> None:
        super().__init__(host, port)
        self._context = _tls_context() if tls else None

    def post(
        self, target: str, data: bytes | memoryview, headers: Mapping[str, str], deadline: Deadline
    ) -> http.client.HTTPResponse:
        self.sock = connection = self.sock or self._connect(deadline)
        connection.deadline = deadline
        # Whoever has seen enough of the image may answer and close before all of it was sent: that answer counts.
        with contextlib.suppress(ConnectionError):
            self.request("POST", target, body=data, headers=dict(headers))
        return self.getresponse()

    def _connect(self, deadline: Deadline) -> TimedSocket | TimedTlsSocket:
        plain = connect(self.host, self.port, deadline)
        if self._context is None:
            return plain
        plain.settimeout(deadline.left())
        try:
            return cast("TimedTlsSocket", self._context.wrap_socket(plain, server_hostname=self.host))
        except BaseException:
            plain.close()
            raise


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.sslsocket_class = TimedTlsSocket
    return context


def _read(response: http.client.HTTPResponse, largest: int) -> bytearray:
    """Raises:
    AttemptFailed: `step-output-too-large`.
    OSError: the connection ended before the answer did.
    """
    if (response.length or 0) > largest:
        raise AttemptFailed("step-output-too-large")
    body = bytearray()
    while chunk := response.read(_CHUNK):
        body += chunk
        if len(body) > largest:
            raise AttemptFailed("step-output-too-large")
    if response.length:
        raise ConnectionError
    return body
