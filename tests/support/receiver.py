"""A receiver of webhooks on this machine: a real HTTP server that answers as it is told, and keeps what it took."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
KEY = bytes(range(32))


@dataclass(frozen=True)
class Taken:
    """One request: its headers (lower case), its body, and by wall time when it came."""

    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def key(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def is_genuine(self) -> bool:
        """As a receiver checks it, by the specification alone."""
        content = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        digest = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
        fresh = abs(self.at - int(self.headers["webhook-timestamp"])) < 60
        return fresh and f"v1,{digest}" in self.headers["webhook-signature"].split(" ")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.receiver.came(self, Taken(headers, body, time.time()))

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: "Receiver"

    def handle_error(self, *_: object) -> None:
        """A sender that leaves is none."""


@dataclass
class Receiver:
    """`status` is what it answers, with `headers` and `body`, a byte at a time where it is to `drip` (seconds); `cut`
    counts the answers that were not read to their end. `down` and `up` stop and start listening on the same port."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    drip: float = 0.0
    taken: list[Taken] = field(default_factory=list)
    refused: list[Taken] = field(default_factory=list)
    cut: int = 0
    port: int = 0
    _server: _Server | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?who=me"

    def up(self) -> "Receiver":
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.receiver = self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def came(self, handler: BaseHTTPRequestHandler, taken: Taken) -> None:
        with self._lock:
            away = self._server is None
            status = 503 if away else self.status
            (self.taken if 200 <= status < 300 else self.refused).append(taken)
        handler.send_response(status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(self.body)))
        handler.end_headers()
        try:
            self._write(handler)
        except OSError:
            self.cut += 1
            raise
        handler.close_connection = away

    def _write(self, handler: BaseHTTPRequestHandler) -> None:
        if not self.drip:
            handler.wfile.write(self.body)
            return
        for number in range(len(self.body)):
            handler.wfile.write(self.body[number : number + 1])
            time.sleep(self.drip)

    def once_each(self) -> list[dict[str, Any]]:
        """The events as a receiver sees them that knows repetitions by their key, in the order they came."""
        first: dict[str, dict[str, Any]] = {}
        for taken in self.taken:
            first.setdefault(taken.key, taken.event)
        return list(first.values())
