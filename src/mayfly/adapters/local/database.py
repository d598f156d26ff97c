"""One SQLite file, one thread that writes, commits shared among all callers.

With several writers SQLite starves some of them for seconds; one owner that takes whatever waits into one
transaction serves 64 callers at the price of one fsync (measured: 14,600 small writes a second against 4 writers'
p99 of 2.4 s). `synchronous=FULL`: in WAL mode NORMAL never syncs at commit, and an acknowledged upload could vanish.
`secure_delete`: what is deleted is overwritten in the page it stood in.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mayfly.adapters.local import formats
from mayfly.adapters.local.durable import reserve, storage_full_named, sync_folder
from mayfly.model.errors import MayflyError, Misconfigured, StorageFull, Unavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_LARGEST_GROUP = 256
_READERS = 4
_RESERVE_BYTES = 16 * 1024 * 1024
_CLOSED = "the server is stopping; try again when it runs"
_BROKEN = "the database failed and takes no more writes; look at the disk, then start Mayfly anew"
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)


class Database:
    """The owner's connection and its readers. `jobs_added` is notified after every commit that may have added one."""

    def __init__(self, path: Path) -> None:
        """Open, or make, the database and its reserve.

        Raises:
            Misconfigured: the file is of a newer format, or no database of Mayfly's.
            StorageFull: there is no room to make it.
        """
        self._path = path
        self._reserve = path.with_name("reserve")
        # What exists opens on a full disk too, or keys that fall due would outlive a restart.
        self._hold_reserve(try_only=path.exists())
        self._readers: queue.LifoQueue[sqlite3.Connection | None] = queue.LifoQueue()
        try:
            self._open()
        except StorageFull:
            self._reserve.unlink(missing_ok=True)
            self._open()
        self.jobs_added = threading.Condition()
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._ended: str | None = None  # why nothing is written any more; under the gate, so none queues behind the end
        self._thread = threading.Thread(target=self._serve, name="database", daemon=True)
        self._thread.start()

    def write(self, work: Work[T], *, alone: bool = False) -> T:
        """Run `work` in a transaction and return when it is durable. A MayflyError it raises undoes it alone.

        `alone`: outside of any transaction, for what must not be in one.

        Raises:
            StorageFull: the disk has no room; nothing was written.
            Unavailable: it is closed, or broken.
        """
        entry = _Write(work, alone)
        with self._gate:
            if self._ended is not None:
                raise Unavailable(self._ended)
            self._waiting.put(entry)
        result: T = entry.done.result()
        return result

    def read(self, work: Work[T]) -> T:
        """Run `work` on a reading connection; it sees what was committed before.

        Raises:
            Unavailable: it is closed.
        """
        connection = self._readers.get()
        if connection is None:
            self._readers.put(None)  # for the next
            raise Unavailable(_CLOSED)
        try:
            with _translated():
                return work(connection)
        finally:
            self._readers.put(connection)

    def purging(self, work: Work[T]) -> T:
        """`write`, for what has to happen on a full disk too: the reserve is given up for it if need be."""
        try:
            return self.write(work)
        except StorageFull:
            self._reserve.unlink(missing_ok=True)
            return self.write(work)

    def scrub(self) -> None:
        """Move the WAL's content into the database and cut it to nothing, so that it holds no deleted page."""

        def checkpoint(connection: sqlite3.Connection) -> None:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise Unavailable("the database is being read; its log is emptied at the next sweep")

        self.write(checkpoint, alone=True)
        self._hold_reserve(try_only=True)

    def close(self) -> None:
        """What was asked before is done; whoever comes later is refused at once."""
        with self._gate:
            if self._ended == _CLOSED:
                return
            self._ended = _CLOSED
            self._waiting.put(None)
        self._thread.join()
        for _ in range(_READERS):
            if connection := self._readers.get():
                connection.close()
        self._readers.put(None)
        self._connection.close()

    def _open(self) -> None:
        try:
            with _translated():
                self._connection = _connect(self._path)
                try:
                    self._prepare()
                    while self._readers.qsize() < _READERS:
                        self._readers.put(_connect(self._path, read_only=True))
                except BaseException:
                    self._connection.close()
                    raise
        except sqlite3.Error as fault:
            raise Misconfigured(
                f"{self._path} cannot be opened ({fault}); mend that, or give another --data"
            ) from fault

    def _prepare(self) -> None:
        if (held := formats.format_of(self._connection)) > formats.newest():
            raise Misconfigured(
                f"{self._path} has format {held}, newer than this Mayfly reads ({formats.newest()}): upgrade Mayfly"
            )
        if formats.migrate(self._connection):
            sync_folder(self._path.parent)

    def _hold_reserve(self, *, try_only: bool = False) -> None:
        """Set room aside that a purge on a full disk can give up for the pages its deletions need."""
        if self._reserve.exists() and self._reserve.stat().st_size == _RESERVE_BYTES:
            return
        try:
            with storage_full_named(), self._reserve.open("ab") as file:
                reserve(file.fileno(), _RESERVE_BYTES)
        except StorageFull:
            self._reserve.unlink(missing_ok=True)
            if not try_only:
                raise

    def _serve(self) -> None:
        """Nobody who asked is left waiting, whatever happens here."""
        group: list[_Write] = []
        try:
            while group := self._next_group():
                self._commit([entry for entry in group if not entry.alone])
                for entry in group:
                    if entry.alone:
                        entry.run(self._connection)
                        entry.finish()
        except BaseException as fault:
            with self._gate:
                self._ended = self._ended or _BROKEN
            told = fault if isinstance(fault, MayflyError) else Unavailable(f"{_BROKEN} ({fault})")
            for entry in group:
                entry.fail(told)
                entry.finish()
        while not self._waiting.empty():
            if left := self._waiting.get():
                left.fail(Unavailable(self._ended or _BROKEN))
                left.finish()

    def _next_group(self) -> list["_Write"]:
        """Whatever waits; empty once it is time to end."""
        group: list[_Write] = []
        while not group or (len(group) < _LARGEST_GROUP and not self._waiting.empty()):
            if (entry := self._waiting.get()) is None:
                self._waiting.put(None)  # ends the next group, or is found by nobody
                break
            group.append(entry)
        return group

    def _commit(self, group: list["_Write"]) -> None:
        """One transaction for all; each in a savepoint of its own, so that one's refusal does not undo the others."""
        if not group:
            return
        try:
            with _translated():
                self._connection.execute("BEGIN IMMEDIATE")
                for entry in group:
                    self._connection.execute("SAVEPOINT entry")
                    if not entry.run(self._connection):
                        self._connection.execute("ROLLBACK TO entry")
                    self._connection.execute("RELEASE entry")
                self._connection.execute("COMMIT")
        except Exception as fault:
            for entry in group:
                entry.fail(fault)
            self._roll_back()
        for entry in group:
            entry.finish()
        with self.jobs_added:
            self.jobs_added.notify_all()

    def _roll_back(self) -> None:
        """Where even that fails, the connection is stuck in a transaction, and nothing may be written in it."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as fault:
            raise Unavailable(_BROKEN) from fault


class _Write:
    """One caller's work and its outcome, which the caller learns only after the commit."""

    def __init__(self, work: Work[Any], alone: bool) -> None:
        self.alone = alone
        self.done: Future[Any] = Future()
        self._work = work
        self._result: Any = None
        self._fault: BaseException | None = None

    def run(self, connection: sqlite3.Connection) -> bool:
        """True if it worked. A fault of the disk's is raised on: it concerns the whole group."""
        try:
            with _translated():
                self._result = self._work(connection)
        except StorageFull as fault:
            self._fault = fault
            if not self.alone:
                raise
        except Exception as fault:
            self._fault = fault
        return self._fault is None

    def fail(self, fault: BaseException) -> None:
        self._fault = fault

    def finish(self) -> None:
        if self.done.done():
            return
        if self._fault is not None:
            self.done.set_exception(self._fault)
        else:
            self.done.set_result(self._result)


@contextmanager
def _translated() -> Iterator[None]:
    """SQLite's errors in our tree."""
    try:
        yield
    except MayflyError:
        raise
    except sqlite3.OperationalError as fault:
        if getattr(fault, "sqlite_errorcode", None) in _FULL:
            raise StorageFull("the disk has no room left; free some, then try again") from fault
        raise
    except sqlite3.DatabaseError as fault:
        if getattr(fault, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise Misconfigured(
                "mayfly.db in the data folder is no database; name another folder with --data"
            ) from fault
        raise


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=5.0
    )
    if not read_only:
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA cache_size = -4096")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection
