"""An HTTP step on this machine, and what can be wrong with one."""

import contextlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

from support.answering import Answering

Behaviour = Callable[[bytes], tuple[int, bytes]]
"""From the picture that was posted to a status and a body."""


def echo(body: bytes) -> tuple[int, bytes]:
    return 200, body


class Sidecar(Answering):
    """Answers on a port of its own as `behave` says, with `facts`. Keeps the type and the body of what it was given."""

    def __init__(self, behave: Behaviour = echo, *, facts: str = "{}", port: int = 0) -> None:
        self.behave = behave
        self.facts = facts
        self.given: list[tuple[str, bytes]] = []
        super().__init__(self._handler(), port)
        self.url = f"http://127.0.0.1:{self.port}/step"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sidecar = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                sidecar.given.append((self.headers["content-type"], body))
                status, answer = sidecar.behave(body)
                with contextlib.suppress(OSError):  # the other side may have waited long enough
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(answer)))
                    self.send_header("Mayfly-Facts", sidecar.facts)
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
