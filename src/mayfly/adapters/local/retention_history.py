"""The history of retentions in SQLite, beside the records (see `database`)."""

import sqlite3

from mayfly.adapters.local.database import Database
from mayfly.model.image import Source
from mayfly.model.instant import Ms
from mayfly.model.retention import History, Retention


class SqliteRetentionHistory:
    """Implements `ports.retention_history.RetentionHistory`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, source: Source) -> History:
        return self._database.read(lambda connection: _read(connection, source))

    def declare(self, source: Source, retention: Retention, now: Ms) -> History:
        def work(connection: sqlite3.Connection) -> History:
            longer = _read(connection, source).declared(retention, now)
            since, _ = longer.changes[-1]
            connection.execute(
                "INSERT OR IGNORE INTO retention_history (source, since, minutes) VALUES (?, ?, ?)",
                (source, since, retention.minutes),
            )
            return longer

        return self._database.write(work)


def _read(connection: sqlite3.Connection, source: Source) -> History:
    rows = connection.execute(
        "SELECT since, minutes FROM retention_history WHERE source = ? ORDER BY since", (source,)
    ).fetchall()
    return History(tuple((Ms(since), Retention(minutes)) for since, minutes in rows))
