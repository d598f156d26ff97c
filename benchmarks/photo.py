"""What a photo costs: 12 megapixels to three renditions, facts, sealed, stored and recorded, against the bare recipe.

CPU of the server and its worker together, all threads, from the claim to the settled record, uploads not counted: the
only worker is stopped (SIGSTOP) over a tiny picture while the photos are uploaded; then the counters are read, it goes
on, and they are read again when the log says that all are processed. So whatever the server does meanwhile counts
against it, the tiny picture too. Between the rounds the bare recipe takes the same photos as often.
"""

import os
import signal
from pathlib import Path

from benchmarks.bare import BareRecipe
from benchmarks.client import Client
from benchmarks.figures import Figure, median
from benchmarks.machine import cpu_ms
from benchmarks.photos import Photos
from benchmarks.server import Server

_ROUNDS = 6
_PHOTOS_A_ROUND = 12
_MOST_RATIO = 1.2


def run(photos: Photos, folder: Path) -> list[Figure]:
    bodies = photos.chosen
    each = -(-_PHOTOS_A_ROUND // len(bodies))
    files = [folder / f"{number}.jpg" for number in range(len(bodies))]
    for file, body in zip(files, bodies, strict=True):
        file.write_bytes(body)
    ours, bare, in_owner = [], [], []
    # Waiting under SIGSTOP is not what the worker's time limit is for.
    with Server(folder / "server", workers="1", worker_seconds="600") as server, BareRecipe() as recipe:
        with Client(server.url) as client:
            _warm(server, client, bodies)
            for _ in range(_ROUNDS):
                count = each * len(bodies)
                owner, worker = _round(server, client, bodies * each, photos.tiny)
                ours.append((owner + worker) / count)
                in_owner.append(owner / count)
                bare.append(sum(recipe.cpu_ms(file, each) for file in files) / count)
    # The first round warms the recipe's process up too.
    return [
        Figure(
            "CPU a photo, all told",
            median(ours[1:]),
            "ms",
            "the bare recipe in libvips",
            median(bare[1:]),
            most_ratio=_MOST_RATIO,
        ),
        Figure("  of that in the server: open, seal, store", median(in_owner[1:]), "ms"),
    ]


def _warm(server: Server, client: Client, bodies: list[bytes]) -> None:
    for body in bodies:
        client.upload(body)
    server.until_processed(len(bodies))


def _round(server: Server, client: Client, bodies: list[bytes], tiny: bytes) -> tuple[float, float]:
    """CPU of the server and of its worker for these photos, ms."""
    done = server.processed()
    [worker] = server.workers()
    os.kill(worker, signal.SIGSTOP)
    client.upload(tiny)
    for body in bodies:
        client.upload(body)
    before = cpu_ms(server.pid), cpu_ms(worker)
    os.kill(worker, signal.SIGCONT)
    server.until_processed(done + 1 + len(bodies))
    return cpu_ms(server.pid) - before[0], cpu_ms(worker) - before[1]
