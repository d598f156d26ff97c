"""Many uploads at once: each for itself, in bounds, told of as they go."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mayfly.client import Client, Progress, RefusedError, Uploaded, UsageError
from support.server import until
from unit.client.conftest import URL, image, problem


class Shelf:
    """A server of many threads: what is named in `held` waits until it is let go, what is in `bad` is refused."""

    def __init__(self, *, bad: frozenset[str] = frozenset(), held: frozenset[str] = frozenset()) -> None:
        self.bad = bad
        self.held = held
        self.let_go = threading.Event()
        self.taken: list[str] = []
        self.keys: set[str] = set()
        self.busy: set[str] = set()
        self.under_way = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/limits":
            return httpx.Response(200, json={"direct_bytes": 1_000, "response_bytes": None})
        name = str(re.search('filename="([^"]*)"', request.headers["content-disposition"])[1])  # type: ignore[index]
        with self._lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.keys.add(request.headers["idempotency-key"])
            first_try = name not in self.busy
            self.busy.add(name)
        try:
            if name in self.held:
                assert self.let_go.wait(30)
            if name in self.bad:
                return problem(415, "unknown-type")
            if name.startswith("slow") and first_try:
                return problem(503, "busy", retry_after="1")
            with self._lock:
                self.taken.append(name)
            return httpx.Response(201, json=image(id=f"id-of-{name}"))
        finally:
            with self._lock:
                self.under_way -= 1

    def client(self) -> Client:
        return Client(URL, transport=httpx.MockTransport(self))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(20):
        (tmp_path / f"{number:02}.jpg").write_bytes(b"x" * (number + 1))
    return tmp_path


def names(results: Iterator[Uploaded]) -> list[str]:
    return [result.path.name for result in results]


def test_results_come_in_the_order_of_the_paths(folder: Path) -> None:
    paths = sorted(folder.iterdir())
    shelf = Shelf()
    results = list(shelf.client().upload_many(paths, concurrency=3))
    assert [result.path for result in results] == paths
    assert [result.image.id for result in results if result.image] == [f"id-of-{path.name}" for path in paths]
    assert sorted(shelf.taken) == [path.name for path in paths]
    assert len(shelf.keys) == len(paths), "each has a key of its own"
    assert 1 <= shelf.most <= 3


def test_or_as_they_end(folder: Path) -> None:
    shelf = Shelf(held=frozenset({"00.jpg"}))
    results = shelf.client().upload_many(sorted(folder.iterdir()), concurrency=2, ordered=False)
    first = [next(results).path.name for _ in range(5)]
    assert "00.jpg" not in first
    shelf.let_go.set()
    assert "00.jpg" in names(results)


def test_one_failure_stops_no_other(folder: Path) -> None:
    shelf = Shelf(bad=frozenset({"03.jpg"}))
    paths = [*sorted(folder.iterdir()), folder / "missing.jpg", folder]
    results = list(shelf.client().upload_many(map(str, paths), concurrency=4))
    errors = {result.path.name: type(result.error) for result in results if result.error is not None}
    assert errors == {"03.jpg": RefusedError, "missing.jpg": FileNotFoundError, folder.name: IsADirectoryError}
    assert all((result.image is None) == (result.error is not None) for result in results)
    assert len(shelf.taken) == 19


def test_progress_counts_files_and_bytes_and_no_byte_twice(folder: Path) -> None:
    (folder / "slow.jpg").write_bytes(b"y" * 90)
    told: list[Progress] = []
    ended: list[Uploaded] = []
    client = Shelf(bad=frozenset({"03.jpg"})).client()
    results = list(
        client.upload_many(sorted(folder.iterdir()), concurrency=4, progress=told.append, on_result=ended.append)
    )
    whole = sum(number + 1 for number in range(20)) - 4 + 90
    assert told[-1] == Progress(files=21, failed=1, sent=whole), "neither the refused nor the first try of the slow"
    assert [progress.files for progress in told] == sorted(progress.files for progress in told)
    assert sorted(names(iter(ended))) == sorted(names(iter(results)))


def test_nothing_is_taken_far_ahead_and_nothing_begins_before_it_is_asked_for(folder: Path) -> None:
    asked = 0

    def endless() -> Iterator[Path]:
        nonlocal asked
        while True:
            asked += 1
            yield folder / "00.jpg"

    results = Shelf().client().upload_many(endless(), concurrency=3)
    assert asked == 0
    for _ in range(10):
        next(results)
    assert asked <= 10 + 3 * 2
    results.close()
    assert asked <= 10 + 3 * 2


def test_who_leaves_early_waits_for_what_is_under_way_alone(folder: Path) -> None:
    shelf = Shelf(held=frozenset({"01.jpg", "02.jpg"}))
    results = shelf.client().upload_many(sorted(folder.iterdir()), concurrency=2)
    assert next(results).path.name == "00.jpg"
    until(lambda: shelf.under_way == 2, "two to be under way")
    leaving = threading.Thread(target=results.close)
    leaving.start()
    assert leaving.is_alive()
    shelf.let_go.set()
    leaving.join(30)
    assert sorted(shelf.taken) == ["00.jpg", "01.jpg", "02.jpg"]


@pytest.mark.parametrize("concurrency", [0, 65, -1])
def test_how_many_at_once_is_bounded(concurrency: int) -> None:
    with pytest.raises(UsageError, match="1 to 64"):
        Shelf().client().upload_many([], concurrency=concurrency)
