"""What a photo costs: 12 megapixels to three renditions, facts, sealed, stored and recorded, against the bare recipe.

CPU of the server and its worker together, all threads, from the claim to the settled record, uploads not counted: the
only worker is stopped (SIGSTOP) over a tiny picture while the photos are uploaded; then the counters are read, it goes
on, and they are read again when the log says that all are processed. So whatever the server does meanwhile counts
against it, the tiny picture too. In every round the bare recipe takes the same photos as often.

The recipe lets the decoder shrink a photo to no less than 0.97 of the largest rendition, as the default `large` does
(its `slack`): a photo 4032 pixels wide gets 2016. Both make pictures of the same sizes.
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

_ROUNDS = 5
_PHOTOS_A_ROUND = 20
_MOST_RATIO = 1.2
_LEAST = 0.97


def run(photos: Photos, folder: Path) -> list[Figure]:
    # Waiting under SIGSTOP is not what the worker's time limit is for.
    server = Server(folder / "server", workers="1", worker_seconds="600")
    with server, Client(server.url) as client, BareRecipe() as recipe:
        sets = photos.sets.items()
        return [
            figure for name, bodies in sets for figure in _measure(name, bodies, photos.tiny, recipe, client, server)
        ]


def _measure(
    name: str, bodies: list[bytes], tiny: bytes, recipe: BareRecipe, client: Client, server: Server
) -> list[Figure]:
    files = [server.folder / f"{number}.jpg" for number in range(len(bodies))]
    for file, body in zip(files, bodies, strict=True):
        file.write_bytes(body)
    each = -(-_PHOTOS_A_ROUND // len(bodies))
    count = each * len(bodies)
    ours, owners, bare = [], [], []
    done = server.processed()
    client.upload(bodies[0])
    server.until_processed(done + 1)
    for _ in range(_ROUNDS):
        owner, worker = _round(server, client, bodies * each, tiny)
        ours.append((owner + worker) / count)
        owners.append(owner / count)
        bare.append(sum(recipe.cpu_ms(file, each, _LEAST) for file in files) / count)
    # The first round warms both up.
    total, yardstick = median(ours[1:]), median(bare[1:])
    return [
        Figure(f"CPU a photo, {name}", total, "ms", "the bare recipe", yardstick, most_ratio=_MOST_RATIO),
        Figure("  of it in the server: open, seal, store", median(owners[1:]), "ms"),
    ]


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
