"""How fast an upload is acknowledged, which is: how soon it would survive a power cut.

Idle: one 4 MB photo at a time, each processed before the next is sent. The yardstick writes as many bytes into a
folder beside the data and makes them durable; a write of each kind in turn.
Busy: 300 KB from 16 clients at once, the workers stopped, so that only taking in is measured.
"""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.bare import durable_write
from benchmarks.client import Client
from benchmarks.figures import Figure, median, p95
from benchmarks.photos import Photos
from benchmarks.server import Server

_PHOTOS = 40
_MOST_MS = 150
_CLIENTS = 16
_EACH = 12
_BURSTS = 3


def run(photos: Photos, folder: Path) -> list[Figure]:
    raw = folder / "raw"
    raw.mkdir()
    # A stopped worker is not overdue.
    with Server(folder / "server", worker_seconds="600") as server:
        idle, limit = _idle(server, photos.photo, raw)
        for worker in server.workers():
            os.kill(worker, signal.SIGSTOP)
        busy, bare = _busy(server, photos.small, raw)
    megabytes, kilobytes = len(photos.photo) / 1e6, len(photos.small) / 1e3
    return [
        Figure(
            f"{megabytes:.1f} MB acknowledged, idle: median",
            median(idle),
            "ms",
            "same bytes: write, fsync, rename, fsync",
            median(limit),
            most=_MOST_MS,
        ),
        Figure("  p95", p95(idle), "ms", "  p95", p95(limit)),
        Figure(
            f"{kilobytes:.0f} KB, {_CLIENTS} clients at once",
            busy,
            "/s",
            f"same bytes made durable by {_CLIENTS} threads",
            bare,
        ),
    ]


def _idle(server: Server, photo: bytes, raw: Path) -> tuple[list[float], list[float]]:
    ours, limit = [], []
    with Client(server.url) as client:
        for number in range(_PHOTOS + 2):
            ours.append(client.upload(photo))
            server.until_processed(number + 1)
            limit.append(durable_write(raw, photo))
    return ours[2:], limit[2:]  # the first ones start a worker and warm the server up


def _busy(server: Server, body: bytes, raw: Path) -> tuple[float, float]:
    """Uploads and bare writes a second, medians of bursts in turn."""

    def upload_some(_: int) -> None:
        with Client(server.url) as client:
            for _ in range(_EACH):
                client.upload(body)

    def write_some(_: int) -> None:
        for _ in range(_EACH):
            durable_write(raw, body)

    ours, bare = [], []
    for _ in range(_BURSTS):
        ours.append(_rate(upload_some))
        bare.append(_rate(write_some))
    return median(ours), median(bare)


def _rate(task: Callable[[int], None]) -> float:
    begun = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(task, range(_CLIENTS)))
    return _CLIENTS * _EACH / (time.perf_counter() - begun)
