"""Many uploads at once: bounded in number and in memory, one failure stopping no other."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from mayfly.client.door import MOST_CONNECTIONS
from mayfly.client.errors import MayflyClientError, UsageError
from mayfly.client.shapes import Image
from mayfly.client.uploading import Meter

AHEAD = 2
"""How many paths are taken from the caller for each upload under way: enough that none waits for the next."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of one path: an image, or the error that its upload ended with."""

    path: Path
    image: Image | None = None
    error: MayflyClientError | OSError | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. `sent` is bytes, those of failed tries not counted."""

    files: int = 0
    failed: int = 0
    sent: int = 0


class Tally:
    """Counts for all the threads, and tells one listener of each change, never two at once."""

    def __init__(self, listener: Callable[[Progress], None] | None) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._progress = Progress()

    def sent(self, size: int) -> None:
        with self._lock:
            self._tell(replace(self._progress, sent=self._progress.sent + size))

    def ended(self, uploaded: Uploaded) -> None:
        failed = uploaded.error is not None
        with self._lock:
            now = self._progress
            self._tell(replace(now, files=now.files + 1, failed=now.failed + failed))

    def _tell(self, progress: Progress) -> None:
        self._progress = progress
        if self._listener is not None:
            self._listener(progress)


One = Callable[[Path, Meter, threading.Event], Image]
"""Uploads one path."""


def upload_many(
    one: One,
    paths: Iterable[str | PathLike[str]],
    concurrency: int,
    *,
    ordered: bool,
    progress: Callable[[Progress], None] | None,
    on_result: Callable[[Uploaded], None] | None,
) -> Generator[Uploaded, None, None]:
    """See `Client.upload_many`."""
    if not 1 <= concurrency <= MOST_CONNECTIONS:
        raise UsageError(f"concurrency is 1 to {MOST_CONNECTIONS}; got {concurrency}")
    return _results(one, map(Path, paths), concurrency, Tally(progress), on_result, ordered=ordered)


def _results(
    one: One,
    paths: Iterator[Path],
    concurrency: int,
    tally: Tally,
    on_result: Callable[[Uploaded], None] | None,
    *,
    ordered: bool,
) -> Generator[Uploaded, None, None]:
    stop = threading.Event()

    def upload(path: Path) -> Uploaded:
        try:
            uploaded = Uploaded(path, image=one(path, tally.sent, stop))
        except (MayflyClientError, OSError) as fault:
            uploaded = Uploaded(path, error=fault)
        tally.ended(uploaded)
        if on_result is not None:
            on_result(uploaded)
        return uploaded

    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="mayfly-upload")
    waiting: deque[Future[Uploaded]] = deque()
    try:
        for path in paths:
            waiting.append(pool.submit(upload, path))
            if len(waiting) >= concurrency * AHEAD:
                yield _next(waiting, ordered=ordered)
        while waiting:
            yield _next(waiting, ordered=ordered)
    finally:
        # Also when the caller leaves early: what is under way ends, what waits to be tried again does not.
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _next(waiting: deque[Future[Uploaded]], *, ordered: bool) -> Uploaded:
    if ordered:
        return waiting.popleft().result()
    done = next(iter(wait(waiting, return_when=FIRST_COMPLETED).done))
    waiting.remove(done)
    return done.result()
