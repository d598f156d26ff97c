"""HTTP over one kept connection, with as little between the clock and the socket as Python allows."""

import http.client
import json
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_PATIENCE_SECONDS = 60


class Client:
    """One connection. Times are milliseconds from the request's first byte to the response's last."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_PATIENCE_SECONDS)

    def upload(self, body: bytes) -> float:
        return self._timed("POST", "/v1/images", 201, body)

    def get(self, path: str) -> float:
        return self._timed("GET", path, 200)

    def json(self, path: str) -> Any:
        return json.loads(self._asked("GET", path, 200))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def _timed(self, method: str, path: str, expected: int, body: bytes | None = None) -> float:
        begun = time.perf_counter()
        self._asked(method, path, expected, body)
        return (time.perf_counter() - begun) * 1_000

    def _asked(self, method: str, path: str, expected: int, body: bytes | None = None) -> bytes:
        headers = {} if body is None else {"Content-Type": "image/jpeg"}
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != expected:
            raise RuntimeError(f"{method} {path} answered {response.status}: {answer[:300].decode(errors='replace')}")
        return answer
