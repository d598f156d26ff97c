"""The queue over the `jobs` table, which is the outbox that `admit` and `reopen` write."""

import secrets
import sqlite3
import time

from mayfly.adapters.local.database import Database
from mayfly.model.errors import LeaseLost
from mayfly.model.identity import ImageId
from mayfly.model.instant import Ms
from mayfly.model.job import Backlog, DeadLetter, Delivery, Job, Receipt
from mayfly.ports.clock import Clock

_LOOK_EVERY = 0.1
"""Seconds between looks for a job that becomes visible by time alone; new jobs wake the waiting at once."""


class SqliteWorkQueue:
    """Implements `ports.work_queue.WorkQueue`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def receive(self, limit: int, visibility_ms: int, wait_seconds: float) -> list[Delivery]:
        deadline = time.monotonic() + wait_seconds
        while True:
            with self._database.jobs_added:
                # Looked at under the condition, so that a job added from here on wakes this thread.
                waiting = self._any_visible()
                remaining = deadline - time.monotonic()
                if not waiting and remaining > 0:
                    self._database.jobs_added.wait(min(remaining, _LOOK_EVERY))
            delivered = self._take(limit, visibility_ms) if waiting else []
            if delivered or time.monotonic() >= deadline:
                return delivered

    def change_visibility(self, receipt: Receipt, visibility_ms: int) -> None:
        changed = self._database.write(
            lambda connection: (
                connection.execute(
                    "UPDATE jobs SET visible_at = ? WHERE receipt = ?", (self._clock.now() + visibility_ms, receipt)
                ).rowcount
            )
        )
        if not changed:
            raise LeaseLost("the job is gone, or was delivered again since")

    def delete(self, receipt: Receipt) -> None:
        self._database.write(
            lambda connection: connection.execute("DELETE FROM jobs WHERE receipt = ?", (receipt,)).rowcount
        )

    def bury(self, receipt: Receipt, reason: str, attempts: int) -> None:
        def work(connection: sqlite3.Connection) -> None:
            rows = connection.execute(
                "DELETE FROM jobs WHERE receipt = ? RETURNING image_id, minute", (receipt,)
            ).fetchall()
            if not rows:
                raise LeaseLost("the job is gone, or was delivered again since")
            connection.execute(
                "INSERT OR REPLACE INTO dead_letters (image_id, minute, reason, attempts, died_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (*rows[0], reason, attempts, self._clock.now()),
            )

        self._database.write(work)

    def dead_letters(self, limit: int, after: ImageId | None = None) -> list[DeadLetter]:
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT image_id, reason, attempts, died_at FROM dead_letters WHERE image_id > ?"
                " ORDER BY image_id LIMIT ?",
                (after.raw if after else b"", limit),
            ).fetchall()
        )
        return [
            DeadLetter(Job(ImageId.from_bytes(raw)), reason, attempts, Ms(died_at))
            for raw, reason, attempts, died_at in rows
        ]

    def depth(self) -> int:
        count: int = self._database.read(
            lambda connection: connection.execute("SELECT COUNT(*) FROM jobs").fetchone()[0]
        )
        return count

    def backlog(self) -> Backlog:
        now = self._clock.now()
        # Each is answered by an index alone.
        waiting, hidden, dead_letters, oldest = self._database.read(
            lambda connection: connection.execute(
                "SELECT (SELECT COUNT(*) FROM jobs WHERE visible_at <= ?1),"
                " (SELECT COUNT(*) FROM jobs WHERE visible_at > ?1),"
                " (SELECT COUNT(*) FROM dead_letters), (SELECT MIN(image_id) FROM jobs)",
                (now,),
            ).fetchone()
        )
        return Backlog(waiting, hidden, dead_letters, ImageId.from_bytes(oldest).birth if oldest else None)

    def _any_visible(self) -> bool:
        now = self._clock.now()
        return self._database.read(
            lambda connection: (
                connection.execute(
                    "SELECT 1 FROM jobs WHERE visible_at <= ? AND expires_at > ? LIMIT 1", (now, now)
                ).fetchone()
                is not None
            )
        )

    def _take(self, limit: int, visibility_ms: int) -> list[Delivery]:
        def work(connection: sqlite3.Connection) -> list[Delivery]:
            now = self._clock.now()
            rows = connection.execute(
                "SELECT image_id, receive_count FROM jobs WHERE visible_at <= ? AND expires_at > ?"
                " ORDER BY visible_at LIMIT ?",
                (now, now, limit),
            ).fetchall()
            delivered = []
            for raw, receive_count in rows:
                receipt = Receipt(secrets.token_hex(16))
                connection.execute(
                    "UPDATE jobs SET visible_at = ?, receipt = ?, receive_count = ? WHERE image_id = ?",
                    (now + visibility_ms, receipt, receive_count + 1, raw),
                )
                delivered.append(Delivery(Job(ImageId.from_bytes(raw)), receipt, receive_count + 1))
            return delivered

        return self._database.write(work)
