"""The queue over the outbox rows of the memory metadata store."""

import heapq
import secrets
import time

from mayfly.adapters.memory.metadata_store import MemoryMetadataStore
from mayfly.adapters.memory.tables import JobRow
from mayfly.model.errors import LeaseLost
from mayfly.model.identity import ImageId
from mayfly.model.instant import Ms
from mayfly.model.job import Backlog, DeadLetter, Delivery, Receipt

_LOOK_AGAIN_SECONDS = 0.02
"""A new job wakes a waiting receiver; one that becomes visible by the clock does not, so it looks again."""


class MemoryWorkQueue:
    def __init__(self, metadata: MemoryMetadataStore) -> None:
        self._tables = metadata.tables

    def receive(self, limit: int, visibility_ms: int, wait_seconds: float) -> list[Delivery]:
        deadline = time.monotonic() + wait_seconds
        with self._tables.changed:
            while True:
                delivered = self._deliver(limit, visibility_ms)
                remaining = deadline - time.monotonic()
                if delivered or remaining <= 0:
                    return delivered
                self._tables.changed.wait(min(remaining, _LOOK_AGAIN_SECONDS))

    def change_visibility(self, receipt: Receipt, visibility_ms: int) -> None:
        with self._tables.changed:
            self._in_hand(receipt).visible_at = Ms(self._tables.clock.now() + visibility_ms)
            self._tables.changed.notify_all()

    def delete(self, receipt: Receipt) -> None:
        with self._tables.changed:
            if row := self._find(receipt):
                del self._tables.jobs[row.job.image_id]

    def bury(self, receipt: Receipt, reason: str, attempts: int) -> None:
        with self._tables.changed:
            job = self._in_hand(receipt).job
            del self._tables.jobs[job.image_id]
            self._tables.buried[job.image_id] = DeadLetter(job, reason, attempts, self._tables.clock.now())

    def dead_letters(self, limit: int, after: ImageId | None = None) -> list[DeadLetter]:
        with self._tables.changed:
            ids = [image_id for image_id in self._tables.buried if after is None or image_id > after]
            return [self._tables.buried[image_id] for image_id in heapq.nsmallest(limit, ids)]

    def depth(self) -> int:
        with self._tables.changed:
            return len(self._tables.jobs)

    def backlog(self) -> Backlog:
        with self._tables.changed:
            now, jobs = self._tables.clock.now(), self._tables.jobs
            waiting = sum(1 for row in jobs.values() if row.visible_at <= now)
            oldest = min((image_id.birth for image_id in jobs), default=None)
            return Backlog(waiting, len(jobs) - waiting, len(self._tables.buried), oldest)

    def _deliver(self, limit: int, visibility_ms: int) -> list[Delivery]:
        now = self._tables.clock.now()
        visible = (row for row in self._tables.jobs.values() if row.visible_at <= now < row.job.image_id.expires_at)
        rows = heapq.nsmallest(limit, visible, key=lambda row: row.visible_at)
        for row in rows:
            row.visible_at = Ms(now + visibility_ms)
            row.receive_count += 1
            row.receipt = Receipt(secrets.token_hex(16))
        return [Delivery(row.job, row.receipt, row.receive_count) for row in rows if row.receipt]

    def _find(self, receipt: Receipt) -> JobRow | None:
        return next((row for row in self._tables.jobs.values() if row.receipt == receipt), None)

    def _in_hand(self, receipt: Receipt) -> JobRow:
        row = self._find(receipt)
        if row is None:
            raise LeaseLost("the job was deleted, or delivered again since")
        return row
