"""Objects: sealed bytes at an address. The store neither knows nor needs their keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mayfly.model.address import Address, Kind
from mayfly.model.instant import Minute


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One thing that stands in the store. `unfinished` is a write that was never committed; `size` its stored bytes."""

    address: Address
    size: int
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Removed:
    """What a purge removed: objects by kind (unfinished ones as what they were to become), and their stored bytes."""

    originals: int = 0
    renditions: int = 0
    size: int = 0

    @classmethod
    def of(cls, objects: Sequence[StoredObject]) -> "Removed":
        originals = sum(1 for found in objects if found.address.kind is Kind.ORIGINAL)
        return cls(originals, len(objects) - originals, sum(found.size for found in objects))


class ObjectWriter(Protocol):
    """One object being written. Used by one thread at a time. Nothing is visible before `commit` returns."""

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            StorageFull: no room; the caller aborts.
        """
        ...

    def commit(self) -> None:
        """Make the object visible, whole, and able to survive a power cut, before returning.

        Raises:
            Expired: the address is due, or its minute was purged; nothing is left.
            AlreadyExists: the address is taken and `replace` was not asked for; what stood there stands.
            StorageFull: nothing is left; where something was to be replaced, that or this stands, whole.
        """
        ...

    def abort(self) -> None:
        """Leave nothing behind. May be called at any time and twice; after a commit it does nothing."""
        ...


class ObjectReader(Protocol):
    """One open object. A purge meanwhile may end it: `read` then raises ObjectMissing, or serves what was opened;
    the caller checks expiry by the clock, not by this."""

    @property
    def size(self) -> int:
        """Stored bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end."""
        ...

    def close(self) -> None: ...


class ObjectStore(Protocol):
    def create(self, address: Address, *, replace: bool = False) -> ObjectWriter:
        """Begin to write.

        Raises:
            Expired: the address is due by the clock: a late worker re-creates nothing.
            StorageFull: no room.
        """
        ...

    def open(self, address: Address) -> ObjectReader:
        """Open for reading.

        Raises:
            ObjectMissing: nothing stands there.
        """
        ...

    def delete(self, address: Address) -> None:
        """Remove every version, durably. A missing object is no error."""
        ...

    def discard(self, found: StoredObject) -> None:
        """Remove exactly this, finished or not, durably. Already gone is no error."""
        ...

    def minutes(self, through: Minute | None = None) -> list[Minute]:
        """The minutes of expiry, up to `through`, under which anything stands, ascending. Asks the store itself, no
        record; its cost grows with what is due, hardly with what lives.

        Anything: also what is at no address of ours, and so in no `listing`. A minute that still shows after its purge
        is not verified, whatever `listing` says.
        """
        ...

    def listing(self, minute: Minute) -> list[StoredObject]:
        """Everything at an address of ours that stands under a minute, unfinished writes included."""
        ...

    def purge(self, minute: Minute) -> Removed:
        """Remove everything under a minute, in every version, durably. Repeatable; needs no free space.

        What is at no address of ours goes too. What cannot be removed stops neither the rest nor the caller: it is not
        counted, and its minute still shows in `minutes`. A write under this minute that commits later raises Expired
        and leaves nothing.
        """
        ...

    def strays(self) -> list[str]:
        """Names of what stands in the store and is at no address of ours. Reported, never removed."""
        ...
