"""What a consumer has in hand: every record from being read to being done with.

The polling thread puts in and asks what may be settled; the crew takes out. All of it stands under one lock, which
nobody holds while he waits for a disk, the owner or the broker.
"""

import contextlib
import heapq
import itertools
import queue
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace

from mayfly.entrypoints.consumer_budget import Budget, weight
from mayfly.entrypoints.consumer_lanes import Lanes
from mayfly.entrypoints.consumer_tracker import Tracker
from mayfly.model.instant import Ms
from mayfly.model.journal import Journal
from mayfly.model.stream import Coordinates, Letter, Partition, StreamRecord

SPREAD = 4_000
"""Records of a partition from the oldest that is not done on: what is done beyond it is remembered in memory."""

Keys = Callable[[StreamRecord], Iterable[Hashable]]
_Waiting = tuple[float, int, "Errand"]


@dataclass(eq=False, slots=True)
class Errand:
    """One record on its way. Whoever took it out changes it, nobody else."""

    record: StreamRecord
    weight: int
    """Bytes that it counts for now."""
    size: int
    """Bytes that it came with."""
    failures: int = 0
    """One after another, until now."""
    early: bool = False
    letter: Letter | None = None
    written: bool = False
    """Whether the dead-letter topic has its letter."""


class Hand:
    def __init__(self, memory: int, keys: Keys, journal: Journal) -> None:
        """`memory`: bytes in flight at most. `keys`: what a record shares with those it has to wait for."""
        self._keys = keys
        self._journal = journal
        self._changed = threading.Condition()
        self._tracker = Tracker()
        self._budget = Budget(memory)
        self._lanes: Lanes[Errand] = Lanes()
        self._order = itertools.count()
        self._early: list[_Waiting] = []
        self._retries: list[_Waiting] = []
        self._failing: Counter[Partition] = Counter()
        self._waiting: Counter[Partition] = Counter()
        self._held: Mapping[Partition, int] = {}
        self._wide: frozenset[Partition] = frozenset()
        self._at_work = 0
        self._in_hand = 0
        self._closed = False
        self._to_take: queue.SimpleQueue[Errand | None] = queue.SimpleQueue()
        self._to_bury: queue.SimpleQueue[Errand | None] = queue.SimpleQueue()
        self.ends: Counter[str] = Counter()
        self.bytes = 0
        self.retries = 0

    # The polling thread

    def keep(self, held: Mapping[Partition, int]) -> bool:
        """Follow exactly these partitions. Whether anything changed. What waits of others is given up."""
        if held == self._held:
            return False
        with self._changed:
            self._held = dict(held)
            self._tracker.keep(held)
            for waiting in (self._early, self._retries):
                stale = [entry for entry in waiting if not self._tracker.current(entry[2].record)]
                waiting[:] = [entry for entry in waiting if self._tracker.current(entry[2].record)]
                heapq.heapify(waiting)
                for _, _, errand in stale:
                    self._drop(errand)
        return True

    def receive(self, record: StreamRecord) -> None:
        """It was read."""
        errand = Errand(record, weight(record), record.size)
        keys: tuple[Hashable, ...] = (record.at,)
        # Whatever a record holds, it is in hand: one that is not would be settled past.
        with contextlib.suppress(Exception):
            keys = (record.at, *self._keys(record))
        with self._changed:
            self._in_hand += 1
            self._tracker.begin(record)
            self._budget.spend(record.at.partition, errand.weight)
            if self._lanes.add(errand, keys):
                self._to_take.put(errand)

    def wake(self, now: Ms, elapsed: float) -> None:
        """Put back to work whatever has waited long enough: by the clock, and by seconds that pass."""
        with self._changed:
            for waiting, instant in ((self._early, float(now)), (self._retries, elapsed)):
                while waiting and waiting[0][0] <= instant:
                    errand = heapq.heappop(waiting)[2]
                    (self._to_bury if errand.letter else self._to_take).put(errand)

    def moved(self) -> list[tuple[Partition, int, int]]:
        """What may be settled now: partition, tenure, offset."""
        with self._changed:
            return self._tracker.moved()

    def sated(self) -> frozenset[Partition]:
        """Which of the partitions held are to be paused."""
        with self._changed:
            self._wide = frozenset(
                partition
                for partition in self._held
                if self._tracker.spread(partition) >= (SPREAD // 2 if partition in self._wide else SPREAD)
            )
            return self._wide | self._budget.sated(self._held, self._waiting)

    def full(self) -> bool:
        with self._changed:
            return self._budget.full(self._waiting)

    def wait_for_room(self, seconds: float) -> None:
        """Wait so long at most until more may be read."""
        with self._changed:
            self._changed.wait_for(lambda: not self._budget.full(self._waiting) or self._closed, seconds)

    def close(self) -> None:
        """Hand out nothing more; whoever waits for work goes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for work in (self._to_take, self._to_bury):
            work.put(None)

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait so long at most until nobody has anything out. Whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._at_work, seconds)

    # The crew

    def to_take(self) -> Errand | None:
        """The next record to be taken; waits for one. None: there is nothing more to do."""
        return self._next(self._to_take)

    def to_bury(self) -> Errand | None:
        """The next one whose letter is to be written; as `to_take`."""
        return self._next(self._to_bury)

    def finish(self, errand: Errand, end: str) -> None:
        """It is done with."""
        with self._changed:
            self._at_work -= 1
            self.ends[end] += 1
            self.bytes += errand.size
            resumed = self._mark(errand, early=False, failures=0)
            self._tracker.end(errand.record)
            self._drop(errand)
        self._tell(resumed, errand)

    def bury(self, errand: Errand, letter: Letter) -> None:
        """Its letter is to be written. Its bytes are needed no more."""
        with self._changed:
            self._at_work -= 1
            resumed = self._mark(errand, early=False, failures=0)
            errand.letter = letter
            errand.record = replace(errand.record, value=None, headers=())
            spared = errand.weight - weight(errand.record)
            errand.weight -= spared
            self._budget.give_back(errand.record.at.partition, spared)
            self._changed.notify_all()
            self._to_bury.put(errand)
        self._tell(resumed, errand)

    def wait_until(self, errand: Errand, instant: Ms) -> None:
        """It is early: it comes again at that instant."""
        with self._changed:
            self._at_work -= 1
            resumed = self._mark(errand, early=True, failures=0)
            self._put_off(self._early, float(instant), errand)
        self._tell(resumed, errand)

    def retry(self, errand: Errand, elapsed: float, reason: str) -> None:
        """Something passing is in its way: it comes again when that many seconds have passed."""
        with self._changed:
            self._at_work -= 1
            self.retries += 1
            told = self._mark(errand, early=False, failures=errand.failures + 1)
            self._put_off(self._retries, elapsed, errand)
        self._tell(told, errand, reason)

    # Anyone

    def current(self, record: StreamRecord) -> bool:
        with self._changed:
            return self._tracker.current(record)

    def holds(self, at: Coordinates) -> bool:
        """Whether the record of that place is in hand."""
        with self._changed:
            return at in self._lanes

    @property
    def held(self) -> Mapping[Partition, int]:
        return self._held

    def settled(self) -> dict[Partition, int]:
        with self._changed:
            return self._tracker.settled()

    def oldest(self, partition: Partition) -> Ms | None:
        """The timestamp of the oldest record of the partition that is not done."""
        with self._changed:
            return self._tracker.oldest(partition)

    def in_flight(self) -> tuple[int, int]:
        """Records and bytes."""
        with self._changed:
            return self._in_hand, self._budget.spent

    def _next(self, work: "queue.SimpleQueue[Errand | None]") -> Errand | None:
        while (errand := work.get()) is not None:
            with self._changed:
                if self._closed:
                    break
                if self._tracker.current(errand.record):
                    self._at_work += 1
                    return errand
                self._drop(errand)
        work.put(None)  # for the next one who waits
        return None

    def _put_off(self, waiting: list[_Waiting], until: float, errand: Errand) -> None:
        if self._tracker.current(errand.record):
            heapq.heappush(waiting, (until, next(self._order), errand))
        else:
            self._drop(errand)
        self._changed.notify_all()

    def _drop(self, errand: Errand) -> None:
        """It is in hand no more."""
        self._mark(errand, early=False, failures=0)
        self._in_hand -= 1
        self._budget.give_back(errand.record.at.partition, errand.weight)
        for ready in self._lanes.remove(errand):
            self._to_take.put(ready)
        self._changed.notify_all()

    def _mark(self, errand: Errand, *, early: bool, failures: int) -> str | None:
        """Say how it fares. What that tells of its partition, if anything."""
        partition = errand.record.at.partition
        waited, failed = errand.early or errand.failures > 0, errand.failures > 0
        errand.early, errand.failures = early, failures
        self._waiting[partition] += (early or failures > 0) - waited
        self._failing[partition] += (failures > 0) - failed
        told = None
        if (failures > 0) != failed:
            told = {0: "partition_resumes", 1: "partition_waits" if failures else None}.get(self._failing[partition])
        for counted in (self._waiting, self._failing):
            if not counted[partition]:
                del counted[partition]
        return told

    def _tell(self, event: str | None, errand: Errand, reason: str | None = None) -> None:
        if event is not None:
            self._journal(event, partition=str(errand.record.at.partition), reason=reason)
