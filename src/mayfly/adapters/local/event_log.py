"""The log over the `events` table, which is the outbox that the metadata store writes (see `outbox`)."""

import json
import sqlite3
import time
from typing import Any

from mayfly.adapters.local.database import Database
from mayfly.model.event import Event
from mayfly.model.identity import ImageId
from mayfly.model.image import Source
from mayfly.model.instant import Ms
from mayfly.model.lifecycle import State
from mayfly.ports.event_log import LARGEST_PAGE

_TRIMMED_AT_ONCE = 500
"""Rows in one transaction: no upload waits long for a trim, and its pages fit the database's reserve."""


class SqliteEventLog:
    """Implements `ports.event_log.EventLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def after(self, sequence: int, limit: int = LARGEST_PAGE) -> list[Event]:
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT sequence, image_id, state, reason, at, source, renditions FROM events WHERE sequence > ?"
                " ORDER BY sequence LIMIT ?",
                (sequence, limit),
            ).fetchall()
        )
        return [_event_of(row) for row in rows]

    def oldest(self) -> int:
        def work(connection: sqlite3.Connection) -> int:
            found: int | None = connection.execute("SELECT MIN(sequence) FROM events").fetchone()[0]
            return _newest(connection) + 1 if found is None else found

        return self._database.read(work)

    def newest(self) -> int:
        return self._database.read(_newest)

    def wait(self, sequence: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        with self._database.jobs_added:
            # Looked at under the condition, so that an event told from here on wakes this thread.
            while not (came := self.newest() > sequence):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._database.jobs_added.wait(remaining):
                    break
        return came or self.newest() > sequence

    def cursor(self, sink: str) -> int | None:
        row = self._database.read(
            lambda connection: connection.execute("SELECT sequence FROM sinks WHERE name = ?", (sink,)).fetchone()
        )
        return None if row is None else int(row[0])

    def advance(self, sink: str, sequence: int) -> None:
        self._database.write(
            lambda connection: (
                connection.execute(
                    "INSERT OR REPLACE INTO sinks (name, sequence) VALUES (?, ?)", (sink, sequence)
                ).rowcount
            )
        )

    def trim(self, before: Ms) -> int:
        def some(connection: sqlite3.Connection) -> int:
            # From the oldest on: no index of times is needed, and where nothing is old, only a page is looked at.
            return connection.execute(
                "DELETE FROM events WHERE at < ?"
                " AND sequence IN (SELECT sequence FROM events ORDER BY sequence LIMIT ?)",
                (before, _TRIMMED_AT_ONCE),
            ).rowcount

        trimmed = 0
        while removed := self._database.purging(some):
            trimmed += removed
        return trimmed


def _newest(connection: sqlite3.Connection) -> int:
    """From SQLite's own note of the sequences it gave out, which outlives the rows."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return 0 if row is None else int(row[0])


def _event_of(row: tuple[Any, ...]) -> Event:
    sequence, raw, state, reason, at, source, renditions = row
    names = tuple(json.loads(renditions))
    return Event(sequence, ImageId.from_bytes(raw), State(state), reason, Ms(at), Source(source), names)
