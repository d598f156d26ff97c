"""One picture as a response: whole or a range (RFC 9110, section 14), cut off at the second of its death."""

import re
from collections.abc import Iterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mayfly.entrypoints.http.errors import PRIVATE, UNSATISFIABLE_RANGE, problem_response
from mayfly.model.errors import MayflyError
from mayfly.queries.open import Opened

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Unsatisfiable(Exception):
    """The range begins past the end."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and one past the last; None where the whole is to be served.

    Several ranges, other units and malformed headers are ignored, as RFC 9110 allows.

    Raises:
        Unsatisfiable: no byte of the picture lies in the range.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), size if last == "" else min(int(last) + 1, size)
        if last and int(last) < start:
            return None
    if start >= stop:
        raise Unsatisfiable
    return start, stop


def wanted_range(request: Request) -> str | None:
    """The `Range` header where it counts: on a GET (RFC 9110, section 14.2) that no `If-Range` makes conditional.

    Pictures carry no validator, so an `If-Range` never matches, and then the whole is to be served (section 13.1.5).
    """
    if request.method != "GET" or "if-range" in request.headers:
        return None
    return request.headers.get("range")


class PictureResponse(Response):
    """Streams a sealed object open, a segment at a time; closes it whatever happens."""

    def __init__(self, opened: Opened, start: int, stop: int, status: int, headers: dict[str, str]) -> None:
        self._opened = opened
        self._start = start
        self._stop = stop
        super().__init__(status_code=status, headers=headers, media_type=opened.media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        chunks = self._opened.reader.chunks(self._start, self._stop)
        try:
            # The first segment is opened before the headers go: what is gone or damaged can still be said.
            first = await run_in_threadpool(next, chunks, b"")
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
                return
            await send({"type": "http.response.body", "body": first, "more_body": True})
            await self._rest(chunks, send)
        finally:
            await run_in_threadpool(self._opened.reader.close)

    @staticmethod
    async def _rest(chunks: Iterator[bytes], send: Send) -> None:
        try:
            while chunk := await run_in_threadpool(next, chunks, b""):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except MayflyError:
            # Its second has come, or a segment is damaged: the connection is cut, so that nobody takes a part for
            # the whole.
            raise ResponseCut from None
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class ResponseCut(Exception):
    """A response was ended before its declared length."""


def picture_response(opened: Opened, range_header: str | None) -> Response:
    """The response to a GET of a picture."""
    size = opened.reader.size
    try:
        wanted = parse_range(range_header, size)
    except Unsatisfiable:
        opened.reader.close()
        return problem_response(
            UNSATISFIABLE_RANGE, f"the picture has {size} bytes", {"Content-Range": f"bytes */{size}"}
        )
    start, stop = wanted or (0, size)
    headers = {**PRIVATE, "Accept-Ranges": "bytes", "Content-Length": str(stop - start)}
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return PictureResponse(opened, start, stop, 200 if wanted is None else 206, headers)
