"""Which images one process is taking in: a bounded set."""

import threading

from mayfly.model.errors import Busy, InFlight
from mayfly.model.identity import ImageId


class MemoryUnderWay:
    """Each image is brought in by one at a time, and `most` images at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._ids: set[ImageId] = set()

    def enter(self, image_id: ImageId) -> None:
        with self._lock:
            if image_id in self._ids:
                raise InFlight("bytes for this image are coming in right now; post the form again if they do not last")
            if len(self._ids) >= self._most:
                raise Busy(f"{self._most} uploads are under way, and no more are taken at once")
            self._ids.add(image_id)

    def leave(self, image_id: ImageId) -> None:
        with self._lock:
            self._ids.discard(image_id)

    def ids(self) -> frozenset[ImageId]:
        with self._lock:
            return frozenset(self._ids)
