"""What is sent to break a server: bounded memory, clear answers, and health answered within a second throughout."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import pytest

from support.door import RawConnection, assert_problem, nothing_left
from support.processes import memory_of
from support.server import Server, until

MIB = 1024 * 1024
HEALTH_SECONDS = 1.0
CONNECTIONS = 60
ATTACK_SECONDS = 3.0
MOST_GROWTH = 48 * MIB
"""Of the server's memory under each attack: sixty bodies under way, and what the allocator keeps."""

HOST = b"Host: HOST\r\n"
POST = b"POST /v1/images HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SECOND = b"GET /healthz?second HTTP/1.1\r\n" + HOST + b"\r\n"
"""Stands behind a request of doubtful length: whoever answers it took part of a body for a request."""

TWO_READINGS = {
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nabcde",
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\nabcde",
    "a negative length": POST + b"Content-Length: -1\r\n\r\nabcde",
    "an endless length": POST + b"Content-Length: 99999999999999999999999\r\n\r\nabcde",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding nobody undoes": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks, then none": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a blank before the colon": POST + b"Content-Length : 5\r\n\r\nabcde",
    "a folded header": POST + b"X: a\r\n Content-Length: 5\r\n\r\nabcde",
    "bare line feeds": POST.replace(b"\r", b"") + b"Content-Length: 5\n\nabcde",
    "a zero byte": POST + b"X: a\0b\r\nContent-Length: 5\r\n\r\nabcde",
    "a chunk in C's hexadecimal": CHUNKED + b"0x5\r\nabcde\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-5\r\nabcde\r\n0\r\n\r\n",
    "an endless chunk": CHUNKED + b"ffffffffffffffffff\r\nabcde\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"5\r\nabcdeX0\r\n\r\n",
    "chunks without returns": CHUNKED + b"5\nabcde\n0\n\n",
    "a length behind the chunks": CHUNKED + b"5\r\nabcde\r\n0\r\nContent-Length: 50\r\n\r\n",
    "a tunnel": b"CONNECT elsewhere.example:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "another protocol": bytes.fromhex("16030100a5010000a10303") + bytes(160),
}


def connected(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def exchange(server: Server, sent: bytes) -> bytes:
    """All that is answered until the server ends the connection, or says nothing for a while."""
    with connected(server) as connection:
        connection.sendall(sent.replace(b"HOST", urlsplit(server.url).netloc.encode()))
        connection.settimeout(1)
        received = b""
        with contextlib.suppress(TimeoutError):
            while data := connection.recv(65_536):
                received += data
    return received


@pytest.mark.parametrize("name", TWO_READINGS)
def test_what_two_readers_could_read_differently_is_refused_and_ends_the_connection(door: Server, name: str) -> None:
    with nothing_left(door):
        answer = exchange(door, TWO_READINGS[name] + SECOND)
        assert answer.count(b"HTTP/1.1 ") == 1, answer
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"/problems/malformed-http" in answer


@pytest.mark.parametrize("cut", [None, -1, 0, 1, 4, 7, 8])
def test_a_client_that_asks_for_another_protocol_is_served_in_this_one(
    door: Server, small: bytes, cut: int | None
) -> None:
    """As Java's own client asks in every request; wherever in the header's name the network cuts it."""
    head = POST.replace(b"HOST", urlsplit(door.url).netloc.encode())
    head += b"uPgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    body = small + b"\r\nupgrade: h2c\r\n"
    request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    place = 0 if cut is None else request.index(b"uPgrade") + cut
    with RawConnection(door) as connection:
        connection.send(request[:place])
        until(lambda: connection.unacknowledged() == 0, "the first piece to have left alone")
        connection.send(request[place:])
        answer = connection.answer()
    assert answer.status_code == 201, answer.text
    image = answer.json()
    assert door.get(f"/v1/images/{image['id']}/original").content == body
    assert door.request("DELETE", f"/v1/images/{image['id']}").status_code == 204


@dataclass
class Watch:
    """Asks for health without end, and remembers the longest wait and the most memory."""

    server: Server
    waits: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self.memory.append(memory_of(self.server.pid))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self.server.url, timeout=30, trust_env=False) as client:
            while not self._done.wait(0.05):
                begun = time.monotonic()
                assert client.get("/healthz").status_code == 200
                self.waits.append(time.monotonic() - begun)
                self.memory.append(memory_of(self.server.pid))


Attack = Callable[[socket.socket, str], Iterator[None]]
"""What one connection sends, a piece a step."""

BOUNDARY = b"x"
FORM_HEAD = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
FILE_HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


def head(netloc: str, *headers: str) -> bytes:
    return "\r\n".join(("POST /v1/images HTTP/1.1", f"Host: {netloc}", *headers, "", "")).encode()


def form(netloc: str, length: int) -> bytes:
    return head(netloc, "Content-Type: multipart/form-data; boundary=x", f"Content-Length: {length}")


def slow_bodies(connection: socket.socket, netloc: str) -> Iterator[None]:
    connection.sendall(head(netloc, "Content-Length: 9000000") + b"\xff\xd8\xff\xe0")
    while True:
        connection.sendall(b"\0")
        yield


def many_headers(connection: socket.socket, netloc: str) -> Iterator[None]:
    connection.sendall(head(netloc)[:-2])
    for number in range(10_000):
        connection.sendall(f"X-{number}: {number}\r\n".encode() * 20)
        yield


def many_parts(connection: socket.socket, netloc: str) -> Iterator[None]:
    connection.sendall(form(netloc, 9_000_000))
    for number in range(10_000):
        connection.sendall(FORM_HEAD % str(number).encode() + b"1\r\n")
        yield


def huge_fields(connection: socket.socket, netloc: str) -> Iterator[None]:
    connection.sendall(form(netloc, 9_000_000) + FORM_HEAD % b"retain")
    while True:
        connection.sendall(b"P" * 65_536)
        yield


def false_boundaries(connection: socket.socket, netloc: str) -> Iterator[None]:
    connection.sendall(form(netloc, 9_000_000) + FILE_HEAD)
    while True:
        connection.sendall(b"\r\n--xX" * 10_000)
        yield


def tiny_chunks(connection: socket.socket, netloc: str) -> Iterator[None]:
    connection.sendall(head(netloc, "Transfer-Encoding: chunked") + b"4\r\n\xff\xd8\xff\xe0\r\n")
    while True:
        connection.sendall(b"1\r\n\0\r\n" * 2_000)
        yield


def chunk_extensions(connection: socket.socket, netloc: str) -> Iterator[None]:
    connection.sendall(head(netloc, "Transfer-Encoding: chunked") + b"4;")
    while True:
        connection.sendall(b"a=b;" * 4_000)
        yield


def pipelined(connection: socket.socket, netloc: str) -> Iterator[None]:
    while True:
        connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode() * 200)
        yield


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        slow_bodies,
        many_headers,
        many_parts,
        huge_fields,
        false_boundaries,
        tiny_chunks,
        chunk_extensions,
        pipelined,
    )
}


def attack_with(server: Server, attack: Attack) -> None:
    """Sixty connections at once, each taking its next step in turn, made anew whenever the server ends one."""
    netloc = urlsplit(server.url).netloc
    open_ones: list[tuple[socket.socket, Iterator[None]]] = []
    end = time.monotonic() + ATTACK_SECONDS
    try:
        while time.monotonic() < end:
            while len(open_ones) < CONNECTIONS:
                connection = connected(server)
                connection.settimeout(0.05)
                open_ones.append((connection, attack(connection, netloc)))
            still: list[tuple[socket.socket, Iterator[None]]] = []
            for connection, steps in open_ones:
                try:
                    next(steps)
                except TimeoutError:
                    still.append((connection, steps))
                except (OSError, StopIteration):
                    connection.close()
                else:
                    still.append((connection, steps))
            open_ones = still
    finally:
        for connection, _ in open_ones:
            connection.close()


@pytest.mark.parametrize("name", ATTACKS)
def test_health_is_answered_within_a_second_whatever_is_sent(door: Server, small: bytes, name: str) -> None:
    with nothing_left(door), Watch(door) as watch:
        attack_with(door, ATTACKS[name])
    growth = max(watch.memory) - watch.memory[0]
    print(f"{name}: longest wait {max(watch.waits) * 1e3:.0f} ms, memory grew by {growth / MIB:.1f} MiB")
    assert len(watch.waits) >= 3
    assert max(watch.waits) < HEALTH_SECONDS
    assert growth < MOST_GROWTH
    image = door.upload(small)
    assert door.request("DELETE", f"/v1/images/{image['id']}").status_code == 204


def test_a_form_that_holds_its_boundary_again_and_again_is_refused(door: Server) -> None:
    body = FILE_HEAD + b"\r\n--xX" * 1_000
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    with nothing_left(door):
        assert_problem(door.post("/v1/images", content=body, headers=headers), 400, "invalid-request", "boundary")
