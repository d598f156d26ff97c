"""Readers that do not read and senders that do not end: held in little, and let go in time."""

import contextlib
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.door import RawConnection, assert_problem
from support.pictures import ENCODED, noise
from support.processes import memory_of
from support.server import WEEK_SECONDS, MakeServer, Server, until

SOON_SECONDS = 10.0
_ESTABLISHED, _CLOSE_WAIT = "01", "08"
"""States of a connection in /proc/net/tcp: of ours, and one that the other side has ended (linux/net/tcp_states.h)."""


def stalled_reader(server: Server, path: str) -> socket.socket:
    """Asks for it, takes the first bytes, and then reads no more."""
    address = urlsplit(server.url)
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    reader.settimeout(60)
    reader.connect((address.hostname, address.port))
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    assert reader.recv(100).startswith(b"HTTP/1.1 200 ")
    return reader


def open_originals(server: Server) -> list[str]:
    """The originals that the server holds open, deleted ones too."""
    found = []
    for entry in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if ".original" in (name := os.readlink(entry)):
                found.append(name)
    return found


def connections(server: Server) -> int:
    """How many are open at its end."""
    here = f":{urlsplit(server.url).port:04X}"
    entries = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(entry[1].endswith(here) and entry[3] in (_ESTABLISHED, _CLOSE_WAIT) for entry in entries)


@pytest.mark.parametrize("by", ["death", "erasure"])
def test_a_reader_that_stalls_keeps_nothing_of_an_image_that_is_gone(make_server: MakeServer, by: str) -> None:
    server = make_server(options=("--workers", "1"), movable=True).start()
    body = ENCODED["image/png"](noise(2_400, 1_800))
    assert len(body) > 3 * 1024 * 1024
    image = server.upload(body)
    server.until_state(image["id"], "processed")
    until(lambda: connections(server) == 0, "the requests before to be over")
    with stalled_reader(server, f"/v1/images/{image['id']}/original") as reader:
        until(lambda: open_originals(server), "the original to be read")
        assert connections(server) == 1
        if by == "death":
            server.move_clock(WEEK_SECONDS + 120)
        else:
            server.request("DELETE", f"/v1/images/{image['id']}")
        until(lambda: not open_originals(server), "the original to be let go", patience=SOON_SECONDS)
        until(lambda: connections(server) == 0, "the connection to be ended", patience=SOON_SECONDS)
        received = 0
        with contextlib.suppress(ConnectionError):
            while data := reader.recv(65_536):
                received += len(data)
        assert received < 256 * 1024, "what the kernel still held was discarded"
    assert "Traceback" not in server.log.read_text(encoding="utf-8")


def test_headers_without_end_grow_nothing(door: Server) -> None:
    before = memory_of(door.pid)
    sent = 0
    with RawConnection(door) as connection, contextlib.suppress(ConnectionError):
        connection.send(b"GET /healthz HTTP/1.1\r\n")
        while sent < 64 * 1024 * 1024:
            connection.send(b"X-Header: 0123456789\r\n" * 1_000)
            sent += 22_000
    assert sent < 16 * 1024 * 1024
    assert memory_of(door.pid) < before + 16 * 1024 * 1024
    assert door.get("/healthz").status_code == 200


def test_the_log_tells_no_size_to_the_byte(door: Server, small: bytes) -> None:
    image = door.upload(small)
    line = next(line for line in door.log.read_text(encoding="utf-8").splitlines() if image["id"] in line)
    assert '"kib": 1' in line
    assert str(len(small)) not in line.replace(image["id"], "")


@pytest.mark.parametrize("damage", ["garbled", "unreadable"])
def test_a_clock_file_that_cannot_be_read_is_told_as_such(make_server: MakeServer, damage: str) -> None:
    server = make_server(options=("--workers", "1"), movable=True).start()
    assert server.clock is not None
    server.move_clock(0)
    if damage == "garbled":
        server.clock.write_text("next tuesday", encoding="utf-8")
    else:
        server.clock.unlink()
        server.clock.mkdir()
    assert_problem(server.get("/readyz"), 503, "misconfigured", "clock")
