"""Events as signed CloudEvents, posted to one address.

| the receiver answers | |
|---|---|
| 2xx | taken |
| 408, 425, 429, 5xx, nothing | not now; `Retry-After` is heeded |
| 3xx, 401, 403, 404, 405, 407, 421 | not now: its address, its key or what stands before it is wrong, not the event |
| anything else | not taken |
"""

import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpcore

from mayfly import __version__
from mayfly.adapters.webhook.network import Network
from mayfly.adapters.webhook.signature import signed
from mayfly.model.errors import Postponed, Refused, Unavailable
from mayfly.model.event import Event, cloud_event

_WHOLE_SECONDS = 20.0
_STEP_SECONDS = 10.0
_IDLE_SECONDS = 30.0
_CONNECTIONS = 4
_MOST_ANSWERED = 16 * 1024
"""What is read of an answer, so that the connection can be used again. A longer one is cut off."""
_LATER = frozenset({401, 403, 404, 405, 407, 408, 421, 425, 429})


class WebhookEventSink:
    """Implements `ports.event_sink.EventSink`."""

    def __init__(self, url: str, key: bytes, origin: str, *, allow_private: bool = False) -> None:
        """`key` signs; `origin` is the `source` of the CloudEvents, a URI. The URL is as settings have checked it."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._key = key
        self._origin = origin
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._url = httpcore.URL(
            scheme=parts.scheme.encode(), host=parts.hostname.encode(), port=parts.port, target=path.encode()
        )
        self._host = parts.netloc
        self._closed = False
        self._network = Network(private=allow_private, tls=parts.scheme == "https")
        self._pool = httpcore.ConnectionPool(
            max_connections=_CONNECTIONS, keepalive_expiry=_IDLE_SECONDS, network_backend=self._network
        )

    def deliver(self, event: Event) -> None:
        if self._closed:
            raise Unavailable("the sink is closed")
        body = json.dumps(cloud_event(event, self._origin), separators=(",", ":")).encode()
        # By wall time, not by the clock that images die by: the receiver compares it with its own.
        named = {**self._headers(body), **signed(self._key, event.key, int(time.time()), body)}
        headers = [(name.encode(), value.encode()) for name, value in named.items()]
        steps = dict.fromkeys(("connect", "read", "write", "pool"), _STEP_SECONDS)
        try:
            with (
                self._network.within(_WHOLE_SECONDS),
                self._pool.stream(
                    "POST", self._url, headers=headers, content=body, extensions={"timeout": steps}
                ) as answer,
            ):
                _drain(answer)
                status, said = answer.status, dict(answer.headers)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as fault:
            raise Unavailable(f"the receiver was not reached ({type(fault).__name__}: {fault})") from None
        _judge(status, said)

    def close(self) -> None:
        self._closed = True
        self._pool.close()

    def _headers(self, body: bytes) -> Mapping[str, str]:
        return {
            "Host": self._host,
            "Content-Type": "application/cloudevents+json",
            "Content-Length": str(len(body)),
            "User-Agent": f"Mayfly/{__version__}",
        }


def _drain(answer: httpcore.Response) -> None:
    read = 0
    for chunk in answer.iter_stream():
        read += len(chunk)
        if read > _MOST_ANSWERED:
            return


def _judge(status: int, headers: Mapping[bytes, bytes]) -> None:
    if 200 <= status < 300:
        return
    told = f"the receiver answered {status}"
    if 400 <= status < 500 and status not in _LATER:
        raise Refused(told)
    named = {name.lower(): value for name, value in headers.items()}
    seconds = _retry_after(named.get(b"retry-after", b"").decode("latin-1"))
    raise Unavailable(told) if seconds is None else Postponed(told, seconds)


def _retry_after(text: str) -> float | None:
    """Seconds or a date (RFC 9110, section 10.2.3); None where neither can be read."""
    if text.isdecimal() and len(text) <= 9:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
