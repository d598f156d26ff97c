"""HTTP on one connection, with the bounds that uvicorn's own protocol lacks: whoever sends without end, or neither
sends nor reads, can make the server hold little, and not for long."""

import asyncio
import re
import socket
import struct
from http import HTTPStatus
from typing import Any, cast

from starlette.responses import JSONResponse
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mayfly.entrypoints.http.errors import HEAD_TOO_LARGE, MALFORMED_HTTP, TABLE, problem_response
from mayfly.entrypoints.http.lingering import MOST_BODY_BYTES, MOST_HEAD_BYTES, LingeringTransport
from mayfly.model.errors import Busy

LARGEST_HEAD_BYTES = 64 * 1024
"""How much may come without a byte of a body: a request line with its headers; trailers; a chunk's extensions."""
MOST_HEADERS = 128
"""A head of as many bytes takes ten times as much memory once it is split into headers as short as can be."""
MOST_PIPELINED = 32
"""Requests that may wait on one connection behind the one being answered."""
LONGEST_HEAD_SECONDS = 10.0
"""From the first byte of a request, or from the connection's beginning, to the end of its headers."""
LONGEST_UNREAD_SECONDS = 60.0
"""How long what was sent may wait for its reader."""
MOST_CONNECTIONS = 500
"""About half of the 1,024 descriptors that a process commonly has: the others are for files."""

_PIECE_BYTES = 16 * 1024
# Each chunk costs the parser some microseconds, whatever it holds: one read full of tiny ones would hold up all others.
_CHUNKS_A_LOOK = 1_000
_SMALLEST_CHUNKS = 64  # bytes, on average
_HEAD_ENDS = b"\r\n\r\n"
_UPGRADE = re.compile(rb"\r\nupgrade(?=:)", re.IGNORECASE)
_LONGEST_SPLIT = len(b"\r\nupgrade")
_ABORT = "abort"
# On, and for no time: closing discards what the kernel still holds, and resets the connection.
_DISCARD = struct.pack("ii", 1, 0)


def abort(scope: Scope) -> None:
    """Cut the connection under a request at once, with all that lies unread in it."""
    cut = scope.get("state", {}).get(_ABORT)
    if cut is not None:
        cut()


class BoundedProtocol(HttpToolsProtocol):
    places_beyond = 0
    """Connections beyond `MOST_CONNECTIONS` that this door still takes."""
    transport: LingeringTransport

    def __init__(self, *how: Any, **named: Any) -> None:
        super().__init__(*how, **named)
        self._in_head = True
        self._without_body = 0
        self._before = b""
        self._body: list[bytes] = []
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(LingeringTransport(transport, self.loop, lambda: not self._in_head))
        # Every send waits until the kernel has taken the one before: what waits can be seen, and be bounded.
        # (Over TLS uvloop waits from the bound on, not beyond it: with 0 it would wait for ever.)
        transport.set_write_buffer_limits(high=0 if transport.get_extra_info("sslcontext") is None else 1, low=0)
        if len(self.connections) > MOST_CONNECTIONS + self.places_beyond:
            busy = problem_response(TABLE[Busy], f"more than {MOST_CONNECTIONS} connections are open")
            self.transport.write(_as_bytes(busy))
            # Not lingering: that would take the very place there is none of.
            self.transport.close()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self._was_read()
        self.transport.lost()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self.transport.hurry()
        super().shutdown()

    def data_received(self, data: bytes) -> None:
        while data and not self.transport.is_closing():
            # A head is taken by small pieces, so that one read cannot carry it far past its bound.
            size = _PIECE_BYTES if self._in_head else len(data)
            self._take(self._without_upgrade(data[:size]) if self._in_head else data[:size])
            data = data[size:]
        if data:
            self.transport.discard(len(data))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][_ABORT] = self._cut

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._before = b""
        self._without_body = 0
        self._head_came()
        if len(self.pipeline) == MOST_PIPELINED:
            raise ValueError("too many requests before the first answer")
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MOST_HEADERS:
            raise ValueError("too many headers")
        # A coding that nobody undoes here would be taken for the image's own bytes.
        if name.lower() == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise ValueError("no transfer coding but chunked is taken")

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - its text is uvicorn's
        if len(self.headers) > MOST_HEADERS:
            response = problem_response(HEAD_TOO_LARGE, f"a request has at most {MOST_HEADERS} headers")
        else:
            detail = (
                "this does not read as RFC 9112 has it, or two readers could take it for different requests, or it "
                "comes in thousands of chunks of a few bytes"
            )
            response = problem_response(MALFORMED_HTTP, detail)
        in_body = not self._in_head and not self.pipeline and self._answering()
        if in_body and not self.cycle.response_started:
            # Nothing was said yet about the request whose body this breaks: what follows says it, and nothing else.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._end_with(response)
        else:
            self._refuse(response)

    def on_body(self, body: bytes) -> None:
        # Gathered until all that was read is parsed: a body in chunks of a byte would be copied anew with each.
        self._without_body = 0
        self._body.append(body)
        if len(self._body) % _CHUNKS_A_LOOK == 0 and sum(map(len, self._body)) < _SMALLEST_CHUNKS * len(self._body):
            raise ValueError("too many tiny chunks")

    def on_message_complete(self) -> None:
        self._hand_over_body()
        self._in_head = True
        self._without_body = 0
        self._head_came()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._in_head and not self.transport.is_closing():
            # It was answered before its body had come. What still comes is thrown away, but not for ever.
            self._await_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(LONGEST_UNREAD_SECONDS, self._cut)

    def resume_writing(self) -> None:
        self._was_read()
        super().resume_writing()

    def _without_upgrade(self, piece: bytes) -> bytes:
        """Java's own client asks for HTTP/2 in every plain request, body and all. A server may pay no heed to that
        (RFC 9110, section 7.8), but this parser would take the body for the other protocol: so the header's name gets
        a letter more before it sees it."""
        known = self._before + piece
        end = known.find(_HEAD_ENDS)
        head = known if end < 0 else known[:end]
        self._before = known[-_LONGEST_SPLIT:]
        return (_UPGRADE.sub(lambda found: found[0] + b"d", head) + known[len(head) :])[len(known) - len(piece) :]

    def _take(self, data: bytes) -> None:
        self._without_body += len(data)
        super().data_received(data)
        self._hand_over_body()
        if self.transport.is_closing():
            return
        if self._without_body > LARGEST_HEAD_BYTES:
            detail = f"the head of a request is at most {LARGEST_HEAD_BYTES} bytes"
            self._refuse(problem_response(HEAD_TOO_LARGE, detail))
        elif self._in_head and self._without_body and self._head_timer is None:
            self._await_head()

    def _hand_over_body(self) -> None:
        if self._body:
            super().on_body(b"".join(self._body))
            self._body.clear()

    def _await_head(self) -> None:
        self._head_came()
        self._head_timer = self.loop.call_later(LONGEST_HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        if self._answering():
            # The next request waits for this answer, and is not read meanwhile: that is not its sender's fault.
            self._await_head()
        else:
            self._cut()

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _was_read(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, response: JSONResponse) -> None:
        if self._answering():
            # Whatever was written now would stand in the middle of the answer before.
            self._cut()
        else:
            self._end_with(response)

    def _end_with(self, response: JSONResponse) -> None:
        self._head_came()
        self.transport.write(_as_bytes(response))
        self.transport.linger(MOST_HEAD_BYTES if self._in_head else MOST_BODY_BYTES)

    def _cut(self) -> None:
        if not self.transport.is_closing() or self.transport.get_write_buffer_size():
            cast("socket.socket", self.transport.get_extra_info("socket")).setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _DISCARD
            )
        self.transport.abort()


def _as_bytes(response: JSONResponse) -> bytes:
    status = HTTPStatus(response.status_code)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), b"connection: close"]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(response.body)])
