"""What it holds in memory: the server and all its descendants, as PSS, so that shared pages count once."""

import time
from pathlib import Path

from benchmarks.client import Client
from benchmarks.figures import Figure
from benchmarks.machine import family, memory_mib
from benchmarks.photos import Photos
from benchmarks.server import Server

_MOST_MIB = 400
_PHOTOS = 200
_IN_HAND = 8
_MOST_GROWTH = 1.1
_REST_SECONDS = 1.5  # workers give free memory back when no image came for a while


def run(photos: Photos, folder: Path) -> list[Figure]:
    with Server(folder / "server") as server, Client(server.url) as client:
        fresh = _held(server)
        # Workers start with their first image: idle means that all of them are there.
        warm, _ = _process(server, client, photos.photo, 4)
        half, peak = _process(server, client, photos.photo, _PHOTOS // 2)
        whole, later_peak = _process(server, client, photos.photo, _PHOTOS // 2)
        workers = len(server.workers())
    return [
        Figure("PSS idle, just started", fresh, "MiB", most=_MOST_MIB),
        Figure(f"PSS idle, {workers} workers started", warm, "MiB", most=_MOST_MIB),
        Figure(
            f"PSS at rest after {_PHOTOS} photos",
            whole,
            "MiB",
            f"after {_PHOTOS // 2}",
            half,
            most=_MOST_MIB,
            most_ratio=_MOST_GROWTH,
        ),
        Figure("PSS at its peak while processing", max(peak, later_peak), "MiB"),
    ]


def _held(server: Server) -> float:
    return sum(memory_mib(pid) for pid in family(server.pid))


def _process(server: Server, client: Client, photo: bytes, count: int) -> tuple[float, float]:
    """PSS at rest afterwards, and the highest that was seen meanwhile."""
    done, peak = server.processed(), 0.0
    for number in range(count):
        client.upload(photo)
        server.until_processed(done + max(0, number + 1 - _IN_HAND))
        peak = max(peak, _held(server))
    server.until_processed(done + count)
    time.sleep(_REST_SECONDS)
    return _held(server), peak
