"""The database's thread: whoever asks is answered, even at its end and after it."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mayfly.adapters.local.database import Database
from mayfly.model.errors import Misconfigured, Unavailable

PATIENCE_SECONDS = 20


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "mayfly.db")
    yield database
    answered(database.close).exception(PATIENCE_SECONDS)


def answered(call: Callable[[], Any]) -> Future[Any]:
    """In a thread that may hang for good without holding the test up."""
    outcome: Future[Any] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as fault:
            outcome.set_exception(fault)

    threading.Thread(target=run, daemon=True).start()
    return outcome


def count(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    return found


def test_after_the_close_writes_and_reads_are_refused(database: Database) -> None:
    assert database.read(count) == database.write(count)
    database.close()
    for call in (database.write, database.read, database.purging):
        for _ in range(2):
            with pytest.raises(Unavailable, match="stopping"):
                answered(partial(call, count)).result(PATIENCE_SECONDS)
    database.close()


def test_what_was_asked_before_the_close_is_done_and_what_waits_for_a_reader_is_refused(database: Database) -> None:
    entered, go_on = threading.Semaphore(0), threading.Event()

    def slow(_: sqlite3.Connection) -> str:
        entered.release()
        assert go_on.wait(PATIENCE_SECONDS)
        return "done"

    running = [answered(lambda: database.read(slow)) for _ in range(4)]
    running.append(answered(lambda: database.write(slow)))
    for _ in running:
        assert entered.acquire(timeout=PATIENCE_SECONDS)
    queued = answered(lambda: database.write(lambda _: "done"))
    while database._waiting.empty():
        pass
    closing = answered(database.close)
    go_on.set()
    assert [one.result(PATIENCE_SECONDS) for one in running] == ["done"] * 5
    assert queued.result(PATIENCE_SECONDS) == "done"
    closing.result(PATIENCE_SECONDS)


class Stuck:
    """A connection that can neither commit nor roll back, as after an error of the disk's."""

    def __init__(self, real: sqlite3.Connection) -> None:
        self.real = real
        self.failing = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def execute(self, statement: str) -> Any:
        if self.failing and statement in ("COMMIT", "ROLLBACK"):
            raise sqlite3.OperationalError("disk I/O error")
        return self.real.execute(statement)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_database_that_cannot_roll_back_refuses_from_then_on(database: Database) -> None:
    database._connection = Stuck(database._connection)  # type: ignore[assignment]
    for _ in range(2):
        with pytest.raises(Unavailable, match="takes no more writes"):
            answered(lambda: database.write(count)).result(PATIENCE_SECONDS)
    assert database.read(count)
    answered(database.close).result(PATIENCE_SECONDS)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_whatever_ends_the_thread_nobody_is_left_waiting(database: Database) -> None:
    first_runs, go_on = threading.Event(), threading.Event()

    def leave(_: sqlite3.Connection) -> None:
        first_runs.set()
        assert go_on.wait(PATIENCE_SECONDS)
        raise SystemExit

    outcomes = [answered(lambda: database.write(leave))]
    assert first_runs.wait(PATIENCE_SECONDS)
    outcomes += [answered(lambda: database.write(count)) for _ in range(3)]
    while database._waiting.qsize() < 3:
        pass
    go_on.set()
    for outcome in outcomes:
        with pytest.raises(Unavailable, match="takes no more writes"):
            outcome.result(PATIENCE_SECONDS)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "mayfly.db").mkdir()
    with pytest.raises(Misconfigured, match=r"mayfly\.db cannot be opened"):
        Database(tmp_path / "mayfly.db")
