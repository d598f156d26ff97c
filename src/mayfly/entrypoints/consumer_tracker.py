"""Up to where everything is done: offsets that end in any order, settled in theirs.

A partition is followed under one tenure at a time. What began under an older one counts no more.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from mayfly.model.instant import Ms
from mayfly.model.stream import Partition, StreamRecord


@dataclass(slots=True)
class _Stretch:
    """The records of one tenure of one partition, from the oldest that is not done to the newest that was read."""

    tenure: int
    offsets: deque[tuple[int, Ms | None]] = field(default_factory=deque)
    done: set[int] = field(default_factory=set)
    settled: int | None = None
    """Everything before it is done; None before the first."""
    moved: bool = False

    def end(self, offset: int) -> None:
        self.done.add(offset)
        # Offsets have gaps (compaction, transactions): what counts is what was read, not which number comes next.
        while self.offsets and self.offsets[0][0] in self.done:
            last, _ = self.offsets.popleft()
            self.done.discard(last)
            self.settled = last + 1
            self.moved = True


class Tracker:
    """Used under its holder's lock."""

    def __init__(self) -> None:
        self._stretches: dict[Partition, _Stretch] = {}

    def keep(self, held: Mapping[Partition, int]) -> frozenset[Partition]:
        """Follow exactly these, each under its tenure. Returns those that are followed no more, or begin anew."""
        stretches = {
            partition: stretch
            for partition, tenure in held.items()
            if (stretch := self._stretches.get(partition)) is not None and stretch.tenure == tenure
        }
        gone = frozenset(self._stretches) - frozenset(stretches)
        self._stretches = stretches
        for partition, tenure in held.items():
            self._stretches.setdefault(partition, _Stretch(tenure))
        return gone

    def current(self, record: StreamRecord) -> bool:
        """Whether its partition is still followed under the tenure that it was read under."""
        stretch = self._stretches.get(record.at.partition)
        return stretch is not None and stretch.tenure == record.tenure

    def begin(self, record: StreamRecord) -> None:
        """It was read. Records of a partition begin in its order."""
        if self.current(record):
            self._stretches[record.at.partition].offsets.append((record.at.offset, record.timestamp))

    def end(self, record: StreamRecord) -> None:
        """It is done with, for good."""
        if self.current(record):
            self._stretches[record.at.partition].end(record.at.offset)

    def moved(self) -> list[tuple[Partition, int, int]]:
        """Partition, tenure and offset, before which everything is done, of each that moved since this was asked."""
        found = []
        for partition, stretch in self._stretches.items():
            if stretch.moved and stretch.settled is not None:
                stretch.moved = False
                found.append((partition, stretch.tenure, stretch.settled))
        return found

    def settled(self) -> dict[Partition, int]:
        """By partition, the offset before which everything is done, where anything was done yet."""
        return {
            partition: stretch.settled for partition, stretch in self._stretches.items() if stretch.settled is not None
        }

    def spread(self, partition: Partition) -> int:
        """How many records were read from the oldest that is not done on."""
        stretch = self._stretches.get(partition)
        return len(stretch.offsets) if stretch else 0

    def oldest(self, partition: Partition) -> Ms | None:
        """The timestamp of the oldest record that is not done; None if all are, or it has none."""
        stretch = self._stretches.get(partition)
        return stretch.offsets[0][1] if stretch and stretch.offsets else None
