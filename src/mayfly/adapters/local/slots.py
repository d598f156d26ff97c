"""A file of fixed slots, overwritten in place.

SQLite leaves deleted keys in its WAL and free pages, and a file written anew leaves its old blocks behind; a slot
overwritten where it stands leaves neither. The blocks are reserved ahead, so destroying needs no free space.

Layout: a header of one page (magic, version, slot count, then the high-water mark), then `count` slots of 64 bytes:

    8 bytes   number of the minute or week, little-endian, plus one (zero: the slot is free)
    32 bytes  key
    4 bytes   CRC-32 of the forty bytes before
    20 bytes  zero

The slot of number n is n modulo the count. The file belongs to one owner; others ask that owner.
"""

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from mayfly.adapters.local.durable import reserve, storage_full_named, sync_data, sync_folder
from mayfly.model.errors import Misconfigured, StorageFull

HEADER_BYTES = 4096
SLOT_BYTES = 64
FORMAT = 1

_MAGIC = b"MAYFLYKS"
_HEADER = struct.Struct("<8sII")
_MARK = struct.Struct("<QI")
_MARK_AT = 64
_SLOT = struct.Struct("<Q32sI")
_EMPTY = bytes(SLOT_BYTES)


class SlotFile:
    """Keys by number, durable before any method returns. Not thread-safe: the key store holds the lock."""

    def __init__(self, path: Path, count: int) -> None:
        """Open, or make, the file.

        Raises:
            Misconfigured: it is no such file, of a newer format, or of another slot count.
            StorageFull: there is no room to make it.
        """
        self._path = path
        self._count = count
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # The header is written last: a file without one was never used.
            if not any(os.pread(self._descriptor, _HEADER.size, 0)):
                self._make()
            self._check()
            self._mark = self._stored_mark()
            self.keys = self._load()
            self._drop_above_the_mark()
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def mark(self) -> int | None:
        """The greatest number a key was ever made for."""
        return self._mark if self._mark >= 0 else None

    def put(self, keys: dict[int, bytes]) -> None:
        """Add keys, whose numbers all lie above the mark; then raise the mark.

        Nobody learns a key before its mark is durable, so slots above the mark after a crash were never used.

        Raises:
            StorageFull: a slot is still taken by an older number; nothing was written.
        """
        taken = {number % self._count for number in self.keys}
        wanted = {number % self._count for number in keys}
        if len(wanted) < len(keys) or taken & wanted:
            raise StorageFull("the key file has no free slot: older keys wait to be destroyed; confirm the clock")
        with storage_full_named():
            for number, key in keys.items():
                body = struct.pack("<Q32s", number + 1, key)
                self._write(number, (body + struct.pack("<I", zlib.crc32(body))).ljust(SLOT_BYTES, b"\0"))
            sync_data(self._descriptor)
            self._store_mark(max(keys))
        self.keys.update(keys)

    def destroy(self, numbers: Iterable[int]) -> int:
        """Overwrite the slots, once for all durably. Returns how many held a key."""
        doomed = [number for number in numbers if number in self.keys]
        for number in doomed:
            self._write(number, _EMPTY)
        if doomed:
            sync_data(self._descriptor)
        for number in doomed:
            del self.keys[number]
        return len(doomed)

    def close(self) -> None:
        os.close(self._descriptor)

    def _make(self) -> None:
        reserve(self._descriptor, HEADER_BYTES + self._count * SLOT_BYTES)
        self._store_mark(-1)
        os.pwrite(self._descriptor, _HEADER.pack(_MAGIC, FORMAT, self._count), 0)
        sync_data(self._descriptor)
        sync_folder(self._path.parent)

    def _check(self) -> None:
        magic, version, count = _HEADER.unpack(os.pread(self._descriptor, _HEADER.size, 0))
        if magic != _MAGIC:
            raise Misconfigured(f"{self._path} is no key file of Mayfly's; name another folder with --keys")
        if version > FORMAT:
            raise Misconfigured(f"{self._path} has format {version}, newer than this Mayfly reads ({FORMAT}); upgrade")
        if count != self._count:
            raise Misconfigured(f"{self._path} has {count} slots, expected {self._count}")

    def _load(self) -> dict[int, bytes]:
        """The keys of the slots that check. What does not is overwritten: no later destruction would find it.

        A torn slot is one whose writing, or overwriting, never finished; a damaged one opens nothing any more.
        """
        body = os.pread(self._descriptor, self._count * SLOT_BYTES, HEADER_BYTES)
        keys, broken = {}, []
        for slot in range(len(body) // SLOT_BYTES):
            whole = body[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]
            stored, key, checksum = _SLOT.unpack_from(whole)
            if stored and (stored - 1) % self._count == slot and zlib.crc32(whole[:40]) == checksum:
                keys[stored - 1] = key
            elif whole != _EMPTY:
                broken.append(slot)
        for slot in broken:
            self._write(slot, _EMPTY)
        if broken:
            sync_data(self._descriptor)
        return keys

    def _drop_above_the_mark(self) -> None:
        """A power cut while keys were added may have kept any of them: raising the mark to the greatest would leave
        holes, minutes without a key for good."""
        self.destroy([number for number in self.keys if number > self._mark])

    def _stored_mark(self) -> int:
        stored, checksum = _MARK.unpack(os.pread(self._descriptor, _MARK.size, _MARK_AT))
        if zlib.crc32(stored.to_bytes(8, "little")) != checksum:
            raise Misconfigured(f"{self._path} is damaged (its high-water mark does not check); restore the disk first")
        return int(stored) - 1

    def _store_mark(self, mark: int) -> None:
        stored = (mark + 1).to_bytes(8, "little")
        os.pwrite(self._descriptor, stored + zlib.crc32(stored).to_bytes(4, "little"), _MARK_AT)
        sync_data(self._descriptor)
        self._mark = mark

    def _write(self, number: int, slot: bytes) -> None:
        os.pwrite(self._descriptor, slot, HEADER_BYTES + number % self._count * SLOT_BYTES)
