"""A server that answers as it is told, without a network."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mayfly import Client
from mayfly.client import retrying

URL = "http://127.0.0.1:8080"
IDENTITY = "01a20670-45de-800f-85a5-2f91ed20f142"

Step = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def image(**changes: Any) -> dict[str, Any]:
    """An image as the server answers it."""
    return {
        "id": IDENTITY,
        "state": "processed",
        "source": "http",
        "media_type": "image/jpeg",
        "bytes": 5,
        "received_at": "2026-11-23T03:25:50.942Z",
        "expires_at": "2026-11-23T04:25:50Z",
        "attempts": 1,
        "reason": None,
        "labels": {},
        "renditions": [],
        "facts": None,
        "sha256": None,
        "file_name": None,
        "uploader": "local",
        "personal_facts": {},
        "receipt": None,
        **changes,
    }


def made(**changes: Any) -> httpx.Response:
    return httpx.Response(201, json=image(**changes))


def problem(status: int, slug: str, detail: str = "what to do", retry_after: str | None = None) -> httpx.Response:
    headers = {"Content-Type": "application/problem+json"}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    document = {"type": f"/problems/{slug}", "title": f"Title of {slug}", "status": status, "detail": detail}
    return httpx.Response(status, json=document, headers=headers)


class Scripted:
    """Answers `GET /v1/limits` by itself, and every other request by the next step of the script."""

    def __init__(self, *script: Step, direct_bytes: int = 1_000, response_bytes: int | None = None) -> None:
        self.script = list(script)
        self.limits = {"direct_bytes": direct_bytes, "response_bytes": response_bytes}
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/limits":
            return httpx.Response(200, json=self.limits)
        self.requests.append(request)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step(request) if callable(step) else step

    def client(self, **how: Any) -> Client:
        return Client(how.pop("url", URL), transport=httpx.MockTransport(self), **how)

    def said(self, header: str) -> list[str | None]:
        return [request.headers.get(header) for request in self.requests]


class CutStream(httpx.SyncByteStream):
    """A body that ends early."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        raise httpx.ReadError("connection reset")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have waited, each time; it does not."""
    asked: list[float] = []
    real = retrying.pause_after

    def instead(*arguments: Any) -> float:
        asked.append(real(*arguments))
        return 0.0

    monkeypatch.setattr(retrying, "pause_after", instead)
    return asked
