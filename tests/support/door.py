"""What a refusal has to look like from outside, and what may be left of it: nothing."""

import contextlib
import fcntl
import socket
import sqlite3
import struct
import termios
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from support.server import PATIENCE_SECONDS, Server, until

TABLES = ("images", "jobs", "dead_letters", "letters", "reservations")
NO_ROWS = dict.fromkeys(TABLES, 0)
_KEPT_TABLES = {"properties", "events", "retention_history", "sinks", "sqlite_sequence", "tokens"}
"""Those that may hold rows when every image is gone. A refusal leaves no event: the log's contract shows it."""


@dataclass(frozen=True)
class Traces:
    """All that uploads leave in a data folder."""

    objects: frozenset[str]
    rows: Mapping[str, int]

    @classmethod
    def of(cls, server: Server) -> "Traces":
        return cls(frozenset(server.objects()), rows(server))


NOTHING = Traces(frozenset(), NO_ROWS)


def rows(server: Server) -> dict[str, int]:
    """How many rows each table holds that can speak of an image."""
    with closing(sqlite3.connect(f"file:{server.data / 'mayfly.db'}?mode=ro", uri=True)) as connection:
        found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        assert {name for (name,) in found} == {*TABLES, *_KEPT_TABLES}, "a new table: may a refusal leave a row in it?"
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}


@contextlib.contextmanager
def nothing_left(server: Server, kept: Traces = NOTHING) -> Iterator[None]:
    """What happens inside leaves no file, no row and no entry in the list beside what is `kept`.

    It may take a moment: a connection that was cut is noticed when the server next looks at it.
    """
    yield
    until(lambda: Traces.of(server) == kept, f"the folder to hold {kept}, not {Traces.of(server)}")
    assert len(server.get("/v1/images").json()["items"]) == kept.rows["images"]


def assert_problem(response: httpx.Response, status: int, slug: str, *says: str) -> dict[str, Any]:
    """A problem document (RFC 9457) whose detail says all of `says`."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text
    )
    document: dict[str, Any] = response.json()
    assert set(document) == {"type", "title", "status", "detail"}
    assert (document["type"], document["status"]) == (f"/problems/{slug}", status)
    assert document["title"]
    for words in says:
        assert words in document["detail"], document["detail"]
    assert len(document["detail"]) > 10
    assert response.headers["cache-control"] == "private, no-store"
    if status == 503 or slug == "in-flight":
        assert int(response.headers["retry-after"]) >= 1
    return document


class RawConnection:
    """A TCP connection to a server, for what an HTTP client would never send."""

    def __init__(self, server: Server) -> None:
        address = urlsplit(server.url)
        self._host = address.netloc
        self._socket = socket.create_connection((address.hostname, address.port), timeout=PATIENCE_SECONDS)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def unacknowledged(self) -> int:
        """Bytes that were sent and that the other side's kernel has not taken yet."""
        waiting: int = struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4)))[0]
        return waiting

    def begin_post(self, path: str, *headers: str) -> None:
        lines = (f"POST {path} HTTP/1.1", f"Host: {self._host}", *headers, "", "")
        self.send("\r\n".join(lines).encode())

    def send_chunk(self, data: bytes) -> None:
        self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def answer(self) -> httpx.Response:
        """The response, read from this connection; whatever was sent before has been all of it."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = httpx.Headers([(name, value) for name, _, value in (line.partition(": ") for line in lines)])
        while len(body) < int(headers["content-length"]):
            body += self._more()
        return httpx.Response(int(status_line.split(" ")[1]), headers=headers, content=body)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _more(self) -> bytes:
        data = self._socket.recv(65_536)
        assert data, "the server closed the connection without an answer"
        return data


def stored_bytes(server: Server) -> bytes:
    """The database and its log, as anyone reads them who gets hold of the files."""
    return b"\n".join(path.read_bytes() for path in sorted(server.data.glob("mayfly.db*")))
