"""One picture as a response: whole or a range (RFC 9110, section 14), cut off at the second of its death."""

import asyncio
import re
from collections.abc import Iterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from mayfly.entrypoints.http.errors import PRIVATE, UNSATISFIABLE_RANGE, problem_response
from mayfly.entrypoints.http.protocol import abort
from mayfly.model.errors import MayflyError
from mayfly.queries.open import Opened

LONGEST_SEND_SECONDS = 60.0
"""How long a reader may leave one segment unread."""
_LOOK_SECONDS = 0.25
"""How often the clock is looked at meanwhile: its file may move it at any time."""

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
            await self._send_all(first, chunks, scope, send)
        finally:
            # Not in a thread: where the task was cancelled, waiting for one would be, too.
            self._opened.reader.close()

    async def _send_all(self, first: bytes, chunks: Iterator[bytes], scope: Scope, send: Send) -> None:
        try:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await self._send_in_time(send, start)
            chunk = first if scope["method"] != "HEAD" else b""
            while chunk:
                await self._send_in_time(send, {"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await run_in_threadpool(next, chunks, b"")
            await self._send_in_time(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except (MayflyError, OSError):
            # Its second has come, or nobody reads it, or a segment is damaged: the connection is cut, so that nobody
            # takes a part for the whole, and with it goes what lies in it unread.
            abort(scope)
            raise ResponseCut from None

    async def _send_in_time(self, send: Send, message: Message) -> None:
        """Send, for as long as the image lives and its reader reads.

        Raises:
            Expired, Erased: the image died while its reader stalled.
            TimeoutError: the reader stalled for too long.
        """
        sending = asyncio.ensure_future(send(message))
        try:
            async with asyncio.timeout(LONGEST_SEND_SECONDS):
                while not (await asyncio.wait({sending}, timeout=_LOOK_SECONDS))[0]:
                    self._opened.reader.refuse_gone()
            sending.result()
        finally:
            sending.cancel()


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
