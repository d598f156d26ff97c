"""The stream of events of a real server: exact over a restart, no burden when it is not read, no obstacle at a stop."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx

from support.server import PATIENCE_SECONDS, MakeServer, Server, until

ENDS_WITHIN_SECONDS = 10


class Stream:
    """Listens in a thread; holds what came as (id, type, data)."""

    def __init__(self, server: Server, last: str | None = None, query: str = "") -> None:
        self.messages: list[tuple[str, str, dict[str, object]]] = []
        self.opened = threading.Event()
        self.ended = threading.Event()
        headers = {} if last is None else {"Last-Event-ID": last}
        self._thread = threading.Thread(
            target=self._listen, args=(f"{server.url}/v1/events{query}", headers), daemon=True
        )
        self._thread.start()
        assert self.opened.wait(PATIENCE_SECONDS)

    def _listen(self, url: str, headers: dict[str, str]) -> None:
        fields: dict[str, str] = {}
        with (
            contextlib.suppress(httpx.TransportError),
            httpx.stream("GET", url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False) as response,
        ):
            for line in response.iter_lines():
                self.opened.set()
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    self.messages.append((fields["id"], fields["event"], json.loads(fields["data"])))
                    fields = {}
        self.ended.set()

    def until_count(self, count: int) -> list[tuple[str, str, dict[str, object]]]:
        until(lambda: len(self.messages) >= count, f"{count} events")
        return self.messages


def ids(messages: list[tuple[str, str, dict[str, object]]]) -> list[int]:
    return [int(number) for number, _, _ in messages]


def test_a_stream_goes_on_exactly_where_it_was_over_a_restart(server: Server, small: bytes) -> None:
    stream = Stream(server)
    images = [server.upload(small)["id"] for _ in range(3)]
    for image in images:
        server.until_state(image, "processed")
    seen = list(stream.until_count(6))
    assert ids(seen) == list(range(1, 7))
    for image in images:
        told = [kind for _, kind, data in seen if data["id"] == image]
        assert told == ["received", "processed"]
    assert server.stop() == 0
    assert stream.ended.wait(PATIENCE_SECONDS)

    server.start()
    server.request("DELETE", f"/v1/images/{images[0]}")
    # The reader saw the fourth last, say; it misses nothing and gets nothing twice.
    again = Stream(server, last="4")
    more = again.until_count(3)
    later = server.upload(small)["id"]
    server.until_state(later, "processed")
    until(lambda: len(again.messages) >= 5, "the rest")
    assert ids(more) == [5, 6, 7, 8, 9]
    assert more[:2] == seen[4:6]
    assert [(kind, data["id"]) for _, kind, data in more[2:]] == [
        ("purged", images[0]),
        ("received", later),
        ("processed", later),
    ]
    assert "sha256" not in json.dumps([data for _, _, data in more])


def test_only_what_is_asked_for_comes(server: Server, small: bytes) -> None:
    stream = Stream(server, query="?state=purged")
    image = server.upload(small)["id"]
    server.until_state(image, "processed")
    server.request("DELETE", f"/v1/images/{image}")
    ((_, kind, data),) = stream.until_count(1)
    assert (kind, data["id"], data["hrefs"]) == ("purged", image, {})


@contextlib.contextmanager
def unread(server: Server) -> Iterator[socket.socket]:
    """A stream whose reader reads nothing."""
    address = urlsplit(server.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect((address.hostname, address.port))
        connection.sendall(f"GET /v1/events HTTP/1.1\r\nHost: {address.netloc}\r\nLast-Event-ID: 0\r\n\r\n".encode())
        yield connection


def test_open_streams_read_or_not_hold_no_stop_up(make_server: MakeServer, small: bytes) -> None:
    server = make_server(options=("--workers", "1")).start()
    image = server.upload(small)["id"]
    server.until_state(image, "processed")
    streams = [Stream(server, last="0") for _ in range(3)]
    with contextlib.ExitStack() as opened:
        for _ in range(3):
            opened.enter_context(unread(server))
        for stream in streams:
            stream.until_count(2)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < ENDS_WITHIN_SECONDS
    assert all(stream.ended.wait(PATIENCE_SECONDS) for stream in streams)
    assert "Traceback" not in server.log.read_text(encoding="utf-8")
