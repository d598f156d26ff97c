"""The bounds of one connection, on a real socket, with times cut short."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from starlette.types import Receive, Scope, Send

from mayfly.entrypoints.http import protocol
from support.protocol import flood, rest, served

LARGE = 4 * 1024 * 1024

Connect = Callable[[], socket.socket]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`/large` answers with much, `/slow` after a while, the rest with little, once the body has come or at once."""
    if scope["path"] == "/slow":
        await asyncio.sleep(0.6)
    if scope["path"] == "/read":
        while (await receive()).get("more_body"):
            pass
    body = bytes(LARGE) if scope["path"] == "/large" else b"ok"
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body, "more_body": False})


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    monkeypatch.setattr(protocol, "LONGEST_HEAD_SECONDS", 0.3)
    monkeypatch.setattr(protocol, "LONGEST_UNREAD_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 3)
    with served(app) as one:
        yield one.connect


GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST /read HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (GET, b"X-Header: " + b"x" * 100 + b"\r\n"),
        (GET + b"X-Header: ", b"x" * 1_000),
        (b"GET /", b"x" * 1_000),
        (GET + b"\r\n" + GET, b"X-Header: " + b"x" * 100 + b"\r\n"),
    ],
    ids=["many headers", "one header", "the target", "the second request"],
)
def test_a_head_without_end_is_refused(connect: Connect, start: bytes, piece: bytes) -> None:
    connection = connect()
    first, _, second = start.rpartition(b"\r\n\r\n")
    if first:
        # Answered before the flood: what comes while an answer is under way is cut without another.
        connection.sendall(first + b"\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    connection.sendall(second)
    answer = flood(connection, piece)
    assert b"HTTP/1.1 431 " in answer
    head, _, body = answer[answer.index(b"HTTP/1.1 431 ") :].partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["type"] == "/problems/head-too-large"


@pytest.mark.parametrize(
    "piece", [b"5;" + b"x" * 1_000, b"0\r\n" + (b"X-Trailer: " + b"x" * 1_000 + b"\r\n")], ids=["chunk", "trailers"]
)
def test_a_body_without_bytes_is_cut(connect: Connect, piece: bytes) -> None:
    connection = connect()
    connection.sendall(CHUNKED + b"1\r\nx\r\n" + piece)
    answer = flood(connection, piece.removeprefix(b"0\r\n").removeprefix(b"5;"))
    # Too many trailers are told, unless the answer had begun.
    assert answer[:13] in (b"", b"HTTP/1.1 431 ")


def test_a_head_within_the_bound_is_taken(connect: Connect) -> None:
    connection = connect()
    for _ in range(3):
        connection.sendall(GET + b"X-Header: " + b"x" * 60_000 + b"\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "start", [b"", b"GET / HT", GET, GET + b"\r\n" + GET], ids=["none", "a bit", "a half", "second"]
)
def test_a_head_that_does_not_end_is_not_waited_for_for_ever(connect: Connect, start: bytes) -> None:
    connection = connect()
    connection.sendall(start)
    answer = rest(connection)
    assert answer.count(b"HTTP/1.1 200 ") == (1 if start.count(GET) == 2 else 0)


def test_an_answer_under_way_is_not_cut_for_the_next_requests_head(connect: Connect) -> None:
    connection = connect()
    connection.sendall(GET.replace(b"/", b"/slow", 1) + b"\r\n" + GET)
    assert b"HTTP/1.1 200 " in rest(connection)


def test_a_body_that_nobody_wants_any_more_is_not_taken_for_ever(connect: Connect) -> None:
    connection = connect()
    connection.sendall(CHUNKED.replace(b"/read", b"/"))
    with contextlib.suppress(ConnectionError):
        for _ in range(200):
            connection.sendall(b"1\r\nx\r\n")
            threading.Event().wait(0.02)
        raise AssertionError("it took everything")


def test_what_nobody_reads_is_thrown_away(connect: Connect) -> None:
    connection = connect()
    connection.sendall(GET.replace(b"/", b"/large", 1) + b"\r\n")
    threading.Event().wait(1.5)
    assert len(rest(connection)) < LARGE / 2


def test_what_is_read_comes_whole_and_the_connection_lives_on(connect: Connect) -> None:
    connection = connect()
    for _ in range(3):
        connection.sendall(GET.replace(b"/", b"/large", 1) + b"\r\n")
        received = 0
        while received < LARGE:
            received += len(connection.recv(65_536))
        assert received < LARGE + 1_000


def test_more_connections_than_there_is_room_for_are_told_to_come_back(connect: Connect) -> None:
    held = [connect() for _ in range(3)]
    for connection in held:
        connection.sendall(GET + b"\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    head, _, body = rest(connect()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in head
    assert json.loads(body)["type"] == "/problems/busy"
    held[0].close()
    for _ in range(50):
        again = connect()
        again.sendall(GET + b"\r\n")
        if again.recv(65_536).startswith(b"HTTP/1.1 200 "):
            return
        threading.Event().wait(0.05)
    raise AssertionError("there was no room again")
