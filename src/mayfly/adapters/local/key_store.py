"""The key store as three files of fixed slots in a folder of their own.

`minutes.slots` and `weeks.slots` hold keys (see `slots`), `erased.ids` the ids erased early: slots of 16 bytes, zero
where free. All are reserved ahead and overwritten in place, so keys die on a full disk too.
"""

import os
import secrets
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from mayfly.adapters.local.durable import make_private_folder, reserve, storage_full_named, sync_data, sync_folder
from mayfly.adapters.local.slots import SlotFile
from mayfly.model.errors import KeyDestroyed, KeyNotMade, StorageFull
from mayfly.model.identity import ImageId
from mayfly.model.instant import Minute, Week
from mayfly.ports.key_store import KEY_BYTES

MINUTE_SLOTS = 32_768
"""Seven days are 10,080 minutes. The rest is room to make new keys before the old ones are destroyed, after a machine
was off for up to fifteen days."""

_WEEK_SLOTS = 8
_ID_BYTES = 16
_IDS_AT_ONCE = 4_096


class SlotKeyStore:
    """Implements `ports.key_store.KeyStore`. One process owns the folder (`data_folder` sees to that)."""

    def __init__(self, folder: Path, slots: int = MINUTE_SLOTS) -> None:
        make_private_folder(folder)
        self._lock = threading.Lock()
        self._minutes = SlotFile(folder / "minutes.slots", slots)
        self._weeks = SlotFile(folder / "weeks.slots", _WEEK_SLOTS)
        self._erased = _ErasedIds(folder / "erased.ids")
        # A destruction that was cut off after its keys went is finished here.
        self._erased.forget([minute for minute in self._erased.by_minute if minute not in self._minutes.keys])

    def provide(self, first: Minute, last: Minute) -> int:
        with self._lock:
            mark = self._minutes.mark
            begin = first if mark is None else max(first, mark + 1)
            made = {number: secrets.token_bytes(KEY_BYTES) for number in range(begin, last + 1)}
            if made:
                self._minutes.put(made)
            return len(made)

    def high_water(self) -> Minute | None:
        mark = self._minutes.mark
        return None if mark is None else Minute(mark)

    def key(self, minute: Minute) -> bytes:
        # A key that is there is told without the lock, which others hold while the disk works.
        known = self._minutes.keys.get(minute)
        if known is not None:
            return known
        with self._lock:
            return _key_of(self._minutes, minute, "minute")

    def live(self) -> list[Minute]:
        with self._lock:
            return sorted(Minute(number) for number in self._minutes.keys)

    def destroy(self, minutes: Iterable[Minute]) -> int:
        with self._lock:
            doomed = list(minutes)
            destroyed = self._minutes.destroy(doomed)
            self._erased.forget(doomed)
            return destroyed

    def turn_weeks(self, current: Week) -> None:
        with self._lock:
            self._weeks.destroy([week for week in self._weeks.keys if week < current - 1])
            mark = self._weeks.mark
            begin = current if mark is None else max(current, mark + 1)
            made = {number: secrets.token_bytes(KEY_BYTES) for number in range(begin, current + 2)}
            if made:
                self._weeks.put(made)

    def week_key(self, week: Week) -> bytes:
        known = self._weeks.keys.get(week)
        if known is not None:
            return known
        with self._lock:
            return _key_of(self._weeks, week, "week")

    def remember_erased(self, image_id: ImageId) -> None:
        with self._lock:
            _key_of(self._minutes, image_id.expiry_minute, "minute")
            self._erased.add(image_id)

    def is_erased(self, image_id: ImageId) -> bool:
        return image_id in self._erased.slot_of

    def erased(self, minute: Minute) -> frozenset[ImageId]:
        with self._lock:
            return frozenset(self._erased.by_minute.get(minute, ()))

    def close(self) -> None:
        with self._lock:
            self._minutes.close()
            self._weeks.close()
            self._erased.close()


def _key_of(file: SlotFile, number: int, kind: str) -> bytes:
    key = file.keys.get(number)
    if key is not None:
        return key
    if file.mark is not None and number <= file.mark:
        raise KeyDestroyed(f"the {kind}'s key was destroyed; what it sealed cannot be opened any more")
    raise KeyNotMade(f"the {kind}'s key is not made yet; it is made ahead by the running server")


class _ErasedIds:
    """The file of ids. Grown by whole blocks of free slots, ahead of need."""

    def __init__(self, path: Path) -> None:
        self.slot_of: dict[ImageId, int] = {}
        self.by_minute: dict[Minute, set[ImageId]] = defaultdict(set)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._descriptor).st_size == 0:
            self._grow()
            sync_folder(path.parent)
        self._slots = os.fstat(self._descriptor).st_size // _ID_BYTES
        body = os.pread(self._descriptor, self._slots * _ID_BYTES, 0)
        for slot in range(self._slots):
            raw = body[slot * _ID_BYTES : (slot + 1) * _ID_BYTES]
            if any(raw):
                self._know(ImageId.from_bytes(raw), slot)
        self._free = sorted(set(range(self._slots)) - set(self.slot_of.values()), reverse=True)

    def add(self, image_id: ImageId) -> None:
        if image_id in self.slot_of:
            return
        if not self._free:
            self._grow()
            present = os.fstat(self._descriptor).st_size // _ID_BYTES
            self._free = list(range(present - 1, self._slots - 1, -1))
            self._slots = present
        slot = self._free[-1]
        with storage_full_named():
            os.pwrite(self._descriptor, image_id.raw, slot * _ID_BYTES)
            sync_data(self._descriptor)
        self._free.pop()
        self._know(image_id, slot)

    def forget(self, minutes: Iterable[Minute]) -> None:
        doomed = [image_id for minute in minutes for image_id in self.by_minute.get(minute, ())]
        for image_id in doomed:
            os.pwrite(self._descriptor, bytes(_ID_BYTES), self.slot_of[image_id] * _ID_BYTES)
        if doomed:
            sync_data(self._descriptor)
        for image_id in doomed:
            self._free.append(self.slot_of.pop(image_id))
            self.by_minute.pop(image_id.expiry_minute, None)

    def close(self) -> None:
        os.close(self._descriptor)

    def _know(self, image_id: ImageId, slot: int) -> None:
        self.slot_of[image_id] = slot
        self.by_minute[image_id.expiry_minute].add(image_id)

    def _grow(self) -> None:
        size = os.fstat(self._descriptor).st_size + _IDS_AT_ONCE * _ID_BYTES
        try:
            reserve(self._descriptor, size)
        except StorageFull:
            raise StorageFull("no room to remember one more erasure; free some disk, then erase again") from None
