"""Keys in dictionaries. Destroying one lets go of its only reference; the interpreter decides when the bytes go."""

import secrets
import threading
from collections.abc import Iterable

from mayfly.model.errors import KeyDestroyed, KeyNotMade, StorageFull
from mayfly.model.identity import ImageId
from mayfly.model.instant import Minute, Week, minute_label
from mayfly.ports.key_store import KEY_BYTES

DEFAULT_SLOTS = 32_768
"""Seven days of minutes, and room for over four days of purges that had to wait."""


class MemoryKeyStore:
    def __init__(self, slots: int = DEFAULT_SLOTS) -> None:
        self._lock = threading.Lock()
        self._slots = slots
        self._keys: dict[Minute, bytes] = {}
        self._mark: Minute | None = None
        self._weeks: dict[Week, bytes] = {}
        self._week_mark: Week | None = None
        self._erased: dict[Minute, set[ImageId]] = {}

    def provide(self, first: Minute, last: Minute) -> int:
        with self._lock:
            start = first if self._mark is None else max(first, self._mark + 1)
            wanted = [Minute(number) for number in range(start, last + 1)]
            if not wanted:
                return 0
            if len(self._keys) + len(wanted) > self._slots:
                raise StorageFull(f"the {self._slots} slots for keys are taken by minutes that are not destroyed yet")
            self._keys.update((minute, secrets.token_bytes(KEY_BYTES)) for minute in wanted)
            self._mark = last
            return len(wanted)

    def high_water(self) -> Minute | None:
        with self._lock:
            return self._mark

    def key(self, minute: Minute) -> bytes:
        with self._lock:
            return self._key(minute)

    def live(self) -> list[Minute]:
        with self._lock:
            return sorted(self._keys)

    def destroy(self, minutes: Iterable[Minute]) -> int:
        with self._lock:
            lived = 0
            for minute in minutes:
                self._erased.pop(minute, None)
                lived += self._keys.pop(minute, None) is not None
            return lived

    def turn_weeks(self, current: Week) -> None:
        with self._lock:
            start = current if self._week_mark is None else max(current, self._week_mark + 1)
            for number in range(start, current + 2):
                self._weeks[Week(number)] = secrets.token_bytes(KEY_BYTES)
                self._week_mark = Week(number)
            self._weeks = {week: key for week, key in self._weeks.items() if week >= current - 1}

    def week_key(self, week: Week) -> bytes:
        with self._lock:
            if week in self._weeks:
                return self._weeks[week]
            if self._week_mark is not None and week <= self._week_mark:
                raise KeyDestroyed(f"the key of week {week} was destroyed")
            raise KeyNotMade(f"the key of week {week} was not made yet")

    def remember_erased(self, image_id: ImageId) -> None:
        with self._lock:
            self._key(image_id.expiry_minute)
            self._erased.setdefault(image_id.expiry_minute, set()).add(image_id)

    def is_erased(self, image_id: ImageId) -> bool:
        return image_id in self.erased(image_id.expiry_minute)

    def erased(self, minute: Minute) -> frozenset[ImageId]:
        with self._lock:
            return frozenset(self._erased.get(minute, ()))

    def _key(self, minute: Minute) -> bytes:
        if minute in self._keys:
            return self._keys[minute]
        if self._mark is not None and minute <= self._mark:
            raise KeyDestroyed(f"the key of minute {minute_label(minute)} was destroyed")
        raise KeyNotMade(f"the key of minute {minute_label(minute)} was not made yet")
