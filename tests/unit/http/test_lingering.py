"""How a connection ends whose client is still sending: it is answered, not reset, and not listened to for ever."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from mayfly.entrypoints.http import lingering
from support.certificate import trusting, write_certificate
from support.protocol import Served, flood, rest, served
from support.server import until

MIB = 1024 * 1024
MUCH = 8 * MIB
"""More than the kernel takes for a server that does not read."""
FOR_EVER = 3_600.0


def post(path: str, size: int = MUCH, how: str = "Connection: close") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{how}\r\nContent-Length: {size}\r\n\r\n".encode()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`/slow` answers after a while, `/read` when the body has come, the rest at once."""
    if scope["path"] == "/slow":
        await asyncio.sleep(0.2)
    if scope["path"] == "/read":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends all the same is not ended by a time."""
    monkeypatch.setattr(lingering, "QUIET_SECONDS", FOR_EVER)
    monkeypatch.setattr(lingering, "LONGEST_SECONDS", FOR_EVER)


@pytest.fixture
def one() -> Iterator[Served]:
    with served(app) as made:
        yield made


def all_let_go(one: Served) -> None:
    until(lambda: one.connections() == 0, "the connection to be let go", patience=5)


def sends_all_and_reads(connection: socket.socket, head: bytes, size: int = MUCH) -> bytes:
    connection.sendall(head)
    for _ in range(size // MIB):
        connection.sendall(bytes(MIB))
    return rest(connection)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("path", ["/", "/slow"], ids=["at once", "after the server had stopped reading"])
@pytest.mark.parametrize("how", ["Connection: close", "Connection: CLOSE, te"])
def test_a_client_that_sends_all_before_it_reads_has_the_answer(one: Served, path: str, how: str) -> None:
    for _ in range(3):
        answer = sends_all_and_reads(one.connect(), post(path, how=how))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\nok")


@pytest.mark.usefixtures("patient")
def test_a_client_of_http_1_0_has_the_answer(one: Served) -> None:
    answer = sends_all_and_reads(one.connect(), post("/").replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"close", b"x"))
    assert answer.endswith(b"\r\n\r\nok")


@pytest.mark.usefixtures("patient")
def test_the_answer_ends_at_once_and_what_comes_behind_it_is_taken(one: Served) -> None:
    connection = one.connect()
    connection.sendall(post("/"))
    assert rest(connection).endswith(b"ok"), "it ended while its request had not"
    for _ in range(MUCH // MIB):
        connection.sendall(bytes(MIB))
    connection.close()
    all_let_go(one)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("start", "behind", "status"),
    [
        (
            b"POST /read HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nno size",
            MUCH,
            b"400",
        ),
        (b"GET / HTTP/1.1\r\n no: header\r\n", MIB // 2, b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 65_536, MIB // 2, b"431"),
    ],
    ids=["a chunk", "a header", "a head without end"],
)
def test_what_cannot_be_read_on_is_told_to_a_client_that_goes_on_sending(
    one: Served, start: bytes, behind: int, status: bytes
) -> None:
    connection = one.connect()
    connection.sendall(start)
    assert connection.recv(1, socket.MSG_PEEK), "the answer is there"
    for _ in range(behind // 4_096):
        connection.sendall(b"x" * 4_096)
    assert rest(connection).startswith(b"HTTP/1.1 " + status)


@pytest.mark.usefixtures("patient")
def test_a_request_that_came_whole_is_not_lingered_for(one: Served) -> None:
    connection = one.connect()
    connection.sendall(post("/read", 5) + b"12345")
    assert rest(connection).endswith(b"ok")
    all_let_go(one)


def test_a_client_that_falls_silent_is_let_go(one: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "QUIET_SECONDS", 0.2)
    connection = one.connect()
    connection.sendall(post("/"))
    assert rest(connection).endswith(b"ok")
    all_let_go(one)


def test_a_client_that_drips_is_let_go(one: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LONGEST_SECONDS", 0.5)
    connection = one.connect()
    connection.sendall(post("/"))
    with contextlib.suppress(ConnectionError):
        for _ in range(200):
            connection.sendall(b"x")
            threading.Event().wait(0.02)
        raise AssertionError("it was listened to for ever")


def test_a_client_that_goes_on_sending_is_not_taken_for_silent(one: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "QUIET_SECONDS", 0.3)
    connection = one.connect()
    connection.sendall(post("/"))
    for _ in range(20):
        connection.sendall(b"x")
        threading.Event().wait(0.05)
    assert one.connections() == 1


@pytest.mark.usefixtures("patient")
def test_a_body_without_end_is_taken_to_a_bound(one: Served) -> None:
    connection = one.connect()
    connection.sendall(post("/", 1_000 * MIB))
    assert flood(connection, bytes(MIB)).endswith(b"ok"), "the answer had come before the end"


@pytest.mark.usefixtures("patient")
def test_a_client_that_resets_is_let_go_and_no_news(one: Served, caplog: pytest.LogCaptureFixture) -> None:
    connection = one.connect()
    connection.sendall(post("/"))
    assert connection.recv(100)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    all_let_go(one)
    assert caplog.records == []


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("path", ["/", "/slow"], ids=["answered", "to be answered"])
@pytest.mark.parametrize("how", ["Connection: close", "Connection: keep-alive"])
def test_a_stop_waits_for_no_body_that_was_answered(path: str, how: str) -> None:
    with served(app) as one:
        connection = one.connect()
        connection.sendall(post(path, how=how))
        answer = b""
        while path == "/" and not answer.endswith(b"ok"):
            answer += connection.recv(100)
        until(lambda: one.connections() == 1, "the request to be there")
        began = time.monotonic()
        one.stop()
        assert time.monotonic() - began < 3
        assert (answer + rest(connection)).endswith(b"ok")


def over_tls(one: Served, context: ssl.SSLContext) -> ssl.SSLSocket:
    return one.opened.enter_context(context.wrap_socket(one.connect(), server_hostname="localhost"))


def test_over_tls_the_answer_comes_too_and_its_end_when_nothing_more_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lingering, "QUIET_SECONDS", 0.3)
    monkeypatch.setattr(lingering, "LONGEST_OVER_TLS_SECONDS", 1.0)
    certificate, key = write_certificate(tmp_path)
    with served(app, ssl_certfile=certificate, ssl_keyfile=key) as one:
        for path in ("/", "/slow", "/"):
            assert sends_all_and_reads(over_tls(one, trusting(certificate)), post(path)).endswith(b"\r\n\r\nok")
        # None of them says goodbye.
        all_let_go(one)
