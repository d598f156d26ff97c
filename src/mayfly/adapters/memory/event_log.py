"""The log over the events that the memory metadata store writes."""

import time
from bisect import bisect_right
from itertools import takewhile

from mayfly.adapters.memory.metadata_store import MemoryMetadataStore
from mayfly.model.event import Event
from mayfly.model.instant import Ms
from mayfly.ports.event_log import LARGEST_PAGE


class MemoryEventLog:
    """Implements `ports.event_log.EventLog`."""

    def __init__(self, metadata: MemoryMetadataStore) -> None:
        self._tables = metadata.tables
        self._cursors: dict[str, int] = {}

    def after(self, sequence: int, limit: int = LARGEST_PAGE) -> list[Event]:
        with self._tables.changed:
            first = bisect_right(self._tables.events, sequence, key=lambda event: event.sequence)
            return self._tables.events[first : first + limit]

    def oldest(self) -> int:
        with self._tables.changed:
            return self._tables.events[0].sequence if self._tables.events else self._tables.told + 1

    def newest(self) -> int:
        with self._tables.changed:
            return self._tables.told

    def wait(self, sequence: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        with self._tables.changed:
            while self._tables.told <= sequence:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                self._tables.changed.wait(remaining)
            return True

    def cursor(self, sink: str) -> int | None:
        with self._tables.changed:
            return self._cursors.get(sink)

    def advance(self, sink: str, sequence: int) -> None:
        with self._tables.changed:
            self._cursors[sink] = sequence

    def trim(self, before: Ms) -> int:
        with self._tables.changed:
            old = sum(1 for _ in takewhile(lambda event: event.at < before, self._tables.events))
            del self._tables.events[:old]
            return old
