"""SIGTERM while everything is under way: it ends with success within ten seconds, and nothing acknowledged is lost."""

import contextlib
import signal
import socket
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from support.load import Load, marked
from support.processes import alive, hold
from support.server import MakeServer, Server, until

ENDS_WITHIN_SECONDS = 10.0
MINUTES = 200
"""More than are purged before a signal comes."""
ONE_WORKER = ("--workers", "1")
DUE = "20260101T{:02}{:02}Z"
"""The name of a minute's folder, long due."""


def ended(server: Server, *signals: int) -> float:
    """Signal it, one after the other, and see it end with success; the seconds it took."""
    assert server.process is not None
    began = time.monotonic()
    for number in signals or (signal.SIGTERM,):
        server.process.send_signal(number)
        time.sleep(0.05)
    code = server._ended()
    took = time.monotonic() - began
    assert code == 0, server.log.read_text(encoding="utf-8")[-2_000:]
    assert took < ENDS_WITHIN_SECONDS
    assert "Traceback" not in server.log.read_text(encoding="utf-8")
    return took


def said(server: Server, event: str) -> bool:
    return f'"event": "{event}"' in server.log.read_text(encoding="utf-8")


def records(server: Server) -> dict[str, tuple[str, int]]:
    """State and attempts of each image of a stopped server, by its id's hexadecimal digits."""
    with contextlib.closing(sqlite3.connect(server.data / "mayfly.db")) as connection:
        rows = connection.execute("SELECT hex(id), state, attempts FROM images").fetchall()
    return {identity.lower(): (state, attempts) for identity, state, attempts in rows}


class Connections:
    """Connections that keep a server busy without end."""

    def __init__(self, server: Server) -> None:
        self._place = (urlsplit(server.url).hostname, urlsplit(server.url).port)
        self._open: list[socket.socket] = []

    def __enter__(self) -> "Connections":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open:
            connection.close()

    def begin(self, head: str, body: bytes = b"", *, end: str = "\r\n\r\n") -> socket.socket:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(self._place)
        self._open.append(connection)
        connection.sendall(head.replace("\n", "\r\n").encode() + end.encode() + body)
        return connection

    def idle(self) -> None:
        connection = self.begin("GET /healthz HTTP/1.1\nHost: localhost")
        assert b"200" in connection.recv(100)

    def in_its_head(self) -> None:
        self.begin("GET /healthz HTTP/1.1\nHost: loc", end="")

    def in_its_body(self, body: bytes) -> None:
        self.begin(f"POST /v1/images HTTP/1.1\nHost: localhost\nContent-Length: {len(body)}", body[: len(body) // 2])

    def unread(self, path: str) -> None:
        assert self.begin(f"GET {path} HTTP/1.1\nHost: localhost").recv(10)


@pytest.fixture(scope="module")
def large() -> bytes:
    """A photo of 24 megapixels."""
    import pyvips

    picture = pyvips.Image.gaussnoise(1_500, 1_000, mean=128, sigma=30).replicate(4, 4)
    body: bytes = picture.bandjoin([picture, picture]).cast("uchar").copy(interpretation="srgb").jpegsave_buffer(Q=60)
    return body


def test_uploads_workers_and_slow_connections_are_ended_and_nothing_is_lost(
    make_server: MakeServer, photo: bytes, small: bytes
) -> None:
    server = make_server(options=ONE_WORKER).start()
    held, worker = hold(server, photo)
    with Load(server, small) as load, Connections(server) as connections:
        load.begin_round()
        connections.idle()
        connections.in_its_head()
        for _ in range(3):
            connections.in_its_body(photo)
            connections.unread(f"/v1/images/{held['id']}/original")
        until(lambda: [name for name in server.objects() if name.endswith(".part")], "an upload under way")
        ended(server)
        acknowledged = {**load.acknowledged}
    assert said(server, "stopped")
    until(lambda: not alive(worker), "the worker to end with its owner")
    assert not [name for name in server.objects() if name.endswith(".part")]
    left = records(server)
    assert left[held["id"].replace("-", "")] == ("received", 0), "its lease was given back, uncounted"
    assert "processing" not in {state for state, _ in left.values()}

    server.start()
    for identity in (held["id"], *acknowledged):
        assert server.until_state(identity, "processed", "failed", "rejected")["attempts"] == 1
        assert server.image(identity)["state"] == "processed"
    assert server.post("/v1/sweeps", json={}).json()["orphans"] == 0
    for identity, body in acknowledged.items():
        assert server.get(f"/v1/images/{identity}/original").content == body


def test_workers_that_decode_large_photos_are_not_waited_for_without_limit(
    make_server: MakeServer, large: bytes
) -> None:
    server = make_server(options=("--workers", "2")).start()
    images = [server.upload(marked(large, str(number)))["id"] for number in range(4)]
    until(lambda: {server.image(identity)["state"] for identity in images} >= {"processing"}, "workers at work")
    ended(server)
    assert {state for state, _ in records(server).values()} <= {"received", "processed"}
    server.start()
    for identity in images:
        assert server.until_state(identity, "processed", "failed")["attempts"] == 1
    assert server.post("/v1/sweeps", json={}).json()["orphans"] == 0


def due_minutes(server: Server, minutes: int) -> Path:
    """Fill a stopped server's store with what is long due."""
    objects = server.data / "objects"
    for minute in range(minutes):
        folder = objects / DUE.format(minute // 60, minute % 60)
        folder.mkdir(parents=True)
        for number in range(3):
            (folder / str(number)).touch()
    return objects


def test_a_purge_at_the_start_is_left_to_the_next_one_however_often_it_is_told(make_server: MakeServer) -> None:
    server = make_server(options=ONE_WORKER).start()
    server.stop()
    objects = due_minutes(server, MINUTES)
    server.start(ready=False)
    ended(server, signal.SIGTERM, signal.SIGINT, signal.SIGINT)
    assert any(objects.iterdir()), "it ended before the purge had"
    assert said(server, "stopped")
    server.start()
    assert not any(objects.iterdir())


def test_a_sweep_that_somebody_asked_for_is_cut_off(make_server: MakeServer, small: bytes) -> None:
    server = make_server(options=ONE_WORKER).start()
    image = server.upload(small)
    server.until_state(image["id"], "processed")
    objects = due_minutes(server, MINUTES)
    answers: list[Any] = []

    def ask() -> None:
        with contextlib.suppress(httpx.TransportError):
            answers.append(server.post("/v1/sweeps", json={}))

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: len(list(objects.iterdir())) < MINUTES, "the sweep to begin")
    ended(server)
    asking.join()
    server.start()
    assert [folder.name for folder in objects.iterdir() if folder.name < "20260601"] == []
    assert server.get(f"/v1/images/{image['id']}/original").content == small
