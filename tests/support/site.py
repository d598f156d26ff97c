"""A site of somebody else's: a page of theirs, and a proxy in front that passes uploads by form on to Mayfly."""

from http.server import BaseHTTPRequestHandler

import httpx

from support.answering import Answering
from support.server import PATIENCE_SECONDS

FORM_PATH = "/v1/uploads/form"


class Site(Answering):
    """Answers `page` at `/`; passes `FORM_PATH` on to `upstream`, and keeps method, path and status of that."""

    def __init__(self, upstream: str) -> None:
        self.page = ""
        self.passed: list[tuple[str, str, int]] = []
        self._upstream = upstream
        super().__init__(self._handler())
        self.url = f"http://127.0.0.1:{self.port}"

    def pass_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        answer = httpx.request(
            method, self._upstream + path, headers=headers, content=body, timeout=PATIENCE_SECONDS, trust_env=False
        )
        self.passed.append((method, path, answer.status_code))
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                there = self.path == "/"
                self._answer(200 if there else 404, "text/html; charset=utf-8", site.page.encode() if there else b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path != FORM_PATH:
                    self._answer(404, "text/plain", b"")
                    return
                answer = site.pass_on("POST", self.path, dict(self.headers), body)
                self._answer(answer.status_code, answer.headers.get("content-type", ""), answer.content)

            def _answer(self, status: int, media_type: str, body: bytes) -> None:
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Type", media_type)
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
