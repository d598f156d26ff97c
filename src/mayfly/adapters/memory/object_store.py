"""Objects in a dictionary: whole once committed, gone with the process."""

import threading

from mayfly.model.address import Address
from mayfly.model.errors import AlreadyExists, Expired, ObjectMissing
from mayfly.model.instant import Minute
from mayfly.ports.clock import Clock
from mayfly.ports.object_store import ObjectReader, ObjectWriter, Removed, StoredObject


class MemoryObjectStore:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[Address, bytes] = {}
        self._unfinished: list[_Writer] = []

    def create(self, address: Address, *, replace: bool = False) -> ObjectWriter:
        with self._lock:
            self._refuse_due(address)
            writer = _Writer(self, address, replace)
            self._unfinished.append(writer)
            return writer

    def open(self, address: Address) -> ObjectReader:
        with self._lock:
            try:
                return _Reader(self._objects[address])
            except KeyError:
                raise ObjectMissing(f"nothing is stored at {address}") from None

    def delete(self, address: Address) -> None:
        with self._lock:
            self._objects.pop(address, None)

    def discard(self, found: StoredObject) -> None:
        if not found.unfinished:
            self.delete(found.address)
            return
        with self._lock:
            self._unfinished = [writer for writer in self._unfinished if writer.address != found.address]

    def minutes(self, through: Minute | None = None) -> list[Minute]:
        with self._lock:
            found = {found.address.minute for found in self._standing()}
        return sorted(minute for minute in found if through is None or minute <= through)

    def listing(self, minute: Minute) -> list[StoredObject]:
        with self._lock:
            return [found for found in self._standing() if found.address.minute == minute]

    def purge(self, minute: Minute) -> Removed:
        with self._lock:
            removed = Removed.of([found for found in self._standing() if found.address.minute == minute])
            self._objects = {address: data for address, data in self._objects.items() if address.minute != minute}
            self._unfinished = [writer for writer in self._unfinished if writer.address.minute != minute]
            return removed

    def strays(self) -> list[str]:
        """None: a dictionary of addresses holds nothing else."""
        return []

    def finish(self, writer: "_Writer") -> None:
        """Commit, for a writer. Whatever comes of it, the unfinished write is no more."""
        with self._lock:
            if writer not in self._unfinished:
                raise Expired(f"the write to {writer.address} was purged")
            self._unfinished.remove(writer)
            self._refuse_due(writer.address)
            if writer.address in self._objects and not writer.replace:
                raise AlreadyExists(f"an object stands at {writer.address}")
            self._objects[writer.address] = bytes(writer.data)

    def forget(self, writer: "_Writer") -> None:
        """Abort, for a writer."""
        with self._lock:
            if writer in self._unfinished:
                self._unfinished.remove(writer)

    def _refuse_due(self, address: Address) -> None:
        if self._clock.now() >= address.image_id.expires_at:
            raise Expired(f"{address} is due; nothing is written there any more")

    def _standing(self) -> list[StoredObject]:
        finished = [StoredObject(address, len(data)) for address, data in self._objects.items()]
        return finished + [StoredObject(w.address, len(w.data), unfinished=True) for w in self._unfinished]


class _Writer:
    def __init__(self, store: MemoryObjectStore, address: Address, replace: bool) -> None:
        self._store = store
        self.address = address
        self.replace = replace
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        self.data += data

    def commit(self) -> None:
        self._store.finish(self)

    def abort(self) -> None:
        self._store.forget(self)


class _Reader:
    """Serves what was opened, whatever becomes of the object meanwhile."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def close(self) -> None:
        self._data = b""
