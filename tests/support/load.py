"""Uploads without end, to do something to a server under load."""

import struct
import threading
from dataclasses import dataclass, field

import httpx

from support.server import PATIENCE_SECONDS, Server, until

UPLOADERS = 3
MOST_A_ROUND = 40
"""Images; what is taken in has to be processed too before the end."""


def marked(picture: bytes, mark: str) -> bytes:
    """A JPEG with a comment of its own: the same picture, other bytes."""
    comment = mark.encode()
    return picture[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + picture[2:]


@dataclass
class Load:
    """Threads that upload without end, each image with bytes of its own."""

    server: Server
    picture: bytes
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    unanswered: int = 0
    room: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _faults: list[str] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(UPLOADERS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_SECONDS)
        assert not any(thread.is_alive() for thread in self._threads)
        assert not self._faults, self._faults

    def begin_round(self) -> None:
        """Let more images in, and see that they come."""
        before = len(self.acknowledged)
        with self._lock:
            self.room = MOST_A_ROUND
        until(lambda: len(self.acknowledged) > before, "an upload to be acknowledged")

    def _run(self, number: int) -> None:
        with httpx.Client(timeout=PATIENCE_SECONDS) as client:
            count = 0
            while not self._stopping.is_set():
                if not self._may_send():
                    self._stopping.wait(0.02)
                    continue
                count += 1
                self._send(client, marked(self.picture, f"uploader {number}, image {count}"))

    def _may_send(self) -> bool:
        with self._lock:
            self.room -= 1
            return self.room >= 0

    def _send(self, client: httpx.Client, body: bytes) -> None:
        try:
            response = client.post(self.server.url + "/v1/images", content=body)
        except (httpx.ConnectError, httpx.UnsupportedProtocol):
            # Nobody listens just now: nothing was sent.
            self._stopping.wait(0.02)
        except httpx.TransportError:
            with self._lock:
                self.unanswered += 1
        else:
            with self._lock:
                if response.status_code == 201:
                    self.acknowledged[response.json()["id"]] = body
                elif response.status_code != 503:
                    self._faults.append(f"{response.status_code}: {response.text}")
