"""What 100,000 waiting jobs cost those who upload and list: two servers, one with the backlog, asked in turn.

No job may be taken while it is measured, or there would soon be no backlog, and its processing would be measured. So
the only worker of both servers is stopped (SIGSTOP) over a tiny picture. Then the backlog is put into one, through
`SqliteMetadataStore.admit` as intake does, by this process: SQLite takes a second writer while the owner is at rest.
Both list whole pages.
"""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from benchmarks.client import Client
from benchmarks.figures import Figure, median
from benchmarks.photos import Photos
from benchmarks.server import Server
from mayfly.adapters.local.clock import SystemClock
from mayfly.adapters.local.database import Database
from mayfly.adapters.local.metadata_store import SqliteMetadataStore
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, MediaType, Source
from mayfly.model.instant import Ms
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention

_JOBS = 100_000
_OVER_MS = 6 * 3_600_000  # they were born within the last hours
_SEALED_BYTES = 250  # what a record's personal fields take
_ROUNDS = 80
_PAGE = 50
_MOST_RATIO = 1.2


def run(photos: Photos, folder: Path) -> list[Figure]:
    how = {"workers": "1", "worker_seconds": "600"}
    with Server(folder / "empty", **how) as empty, Server(folder / "full", **how) as full:
        for server in (empty, full):
            _occupy(server, photos.tiny)
        _add_jobs(full, folder)
        pairs = _measure(empty, full, photos.small)
    names = {"upload": f"{len(photos.small) / 1e3:.0f} KB acknowledged", "ls": "GET /v1/images"}
    return [
        Figure(
            f"{name}, {_JOBS:,} jobs waiting",
            median([full for _, full in pairs[what]]),
            "ms",
            "with none",
            median([empty for empty, _ in pairs[what]]),
            most_ratio=_MOST_RATIO,
        )
        for what, name in names.items()
    ]


def _measure(empty: Server, full: Server, body: bytes) -> dict[str, list[tuple[float, float]]]:
    with Client(empty.url) as to_empty, Client(full.url) as to_full:
        uploads = [_both(to_empty, to_full, body, number) for number in range(_ROUNDS)]
        return {"upload": uploads, "ls": [_both(to_empty, to_full, None, number) for number in range(_ROUNDS)]}


def _occupy(server: Server, tiny: bytes) -> None:
    """Let the worker start, stop it, and give its owner something to wait for. Then fill a page of the list."""
    with Client(server.url) as client:
        client.upload(tiny)
        server.until_processed(1)
        [worker] = server.workers()
        os.kill(worker, signal.SIGSTOP)
        for _ in range(_PAGE):
            client.upload(tiny)


def _add_jobs(server: Server, folder: Path) -> None:
    now = round(time.time() * 1_000)
    with closing(SystemClock(folder / "tick")) as clock, closing(Database(server.data / "mayfly.db")) as database:
        store = SqliteMetadataStore(database, clock)

        def admit(number: int) -> None:
            image_id = ImageId.new(Ms(now - 60_000 - number * _OVER_MS // _JOBS), Retention.parse("P7D"))
            sealed = os.urandom(_SEALED_BYTES)
            record = ImageRecord(image_id, State.RECEIVED, Source.HTTP, MediaType.JPEG, 300_000, sealed)
            store.admit(record, Job(image_id))

        # Many callers share each commit.
        with ThreadPoolExecutor(64) as pool:
            for _ in pool.map(admit, range(_JOBS), chunksize=1):
                pass


def _both(to_empty: Client, to_full: Client, body: bytes | None, number: int) -> tuple[float, float]:
    """Each once; who comes first alternates."""
    if number % 2:
        slow = _once(to_full, body)
        return _once(to_empty, body), slow
    return _once(to_empty, body), _once(to_full, body)


def _once(client: Client, body: bytes | None) -> float:
    return client.get(f"/v1/images?limit={_PAGE}") if body is None else client.upload(body)
