"""How much a consumer holds in memory, and which partitions are to be paused for it.

The bound is one of bytes, for all partitions together. One partition alone gets half of it, and while it waits for
something a fair share: so neither a fast one nor a slow one leaves the others without room. After a pause half of
what may become free has to be free before there is room again, for each makes the client fetch anew.
"""

from collections import Counter
from collections.abc import Collection, Mapping

from mayfly.model.stream import Partition, StreamRecord

RECORD_BYTES = 2_048
"""What a record takes beside its value and headers, roughly: objects, places in queues."""


def weight(record: StreamRecord) -> int:
    """Bytes that a record counts for."""
    return record.size + RECORD_BYTES


class Budget:
    """Used under its holder's lock. Overrun by one record at most, whose size nobody knows before it was read."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._spent: Counter[Partition] = Counter()
        self._full = False
        self._sated: frozenset[Partition] = frozenset()

    @property
    def spent(self) -> int:
        """Bytes in flight."""
        return self._spent.total()

    def spend(self, partition: Partition, size: int) -> None:
        self._spent[partition] += size

    def give_back(self, partition: Partition, size: int) -> None:
        self._spent[partition] -= size
        if self._spent[partition] <= 0:
            del self._spent[partition]

    def full(self, waiting: Collection[Partition]) -> bool:
        """Whether nothing more is to be read at all. `waiting` names the partitions that make no progress now: what
        they hold does not become free."""
        stuck = sum(self._spent[partition] for partition in waiting)
        self._full = self.spent >= (self._most if not self._full else (self._most + stuck) // 2)
        return self._full

    def sated(self, held: Collection[Partition], waiting: Collection[Partition]) -> frozenset[Partition]:
        """Which of the partitions held are to be paused."""
        if self.full(waiting):
            return frozenset(held)
        share = self._most // max(2, len(held)) if len(held) > 1 else self._most
        bounds: Mapping[Partition, int] = {
            partition: share if partition in waiting else max(share, self._most // 2) for partition in held
        }
        self._sated = frozenset(
            partition
            for partition, bound in bounds.items()
            if self._spent[partition] >= (bound // 2 if partition in self._sated else bound)
        )
        return self._sated
