"""The history of retentions in a dictionary."""

import threading

from mayfly.model.image import Source
from mayfly.model.instant import Ms
from mayfly.model.retention import History, Retention


class MemoryRetentionHistory:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._histories: dict[Source, History] = {}

    def of(self, source: Source) -> History:
        with self._lock:
            return self._histories.get(source, History())

    def declare(self, source: Source, retention: Retention, now: Ms) -> History:
        with self._lock:
            self._histories[source] = self._histories.get(source, History()).declared(retention, now)
            return self._histories[source]
