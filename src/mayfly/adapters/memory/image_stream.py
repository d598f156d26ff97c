"""A stream of images from a broker in memory, which other members of its group may share."""

import itertools
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from mayfly.adapters.memory.broker import MemoryBroker
from mayfly.model.errors import Conflict
from mayfly.model.stream import Letter, Partition, StreamRecord, Survey

_MEMBERS = itertools.count(1)


class MemoryImageStream:
    """Implements `ports.image_stream.ImageStream`. `member` is its number in the group, by which a test fences it."""

    def __init__(self, broker: MemoryBroker, topics: tuple[str, ...], group: str = "mayfly") -> None:
        self.member = next(_MEMBERS)
        self._broker = broker
        self._topics = topics
        self._group = group
        self._tenures = itertools.count(1)
        self._held: dict[Partition, int] = {}
        self._position: dict[Partition, int] = {}
        self._settled: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._let_in = False
        self._closed = False

    def poll(self, seconds: float) -> StreamRecord | None:
        deadline = time.monotonic() + seconds
        with self._broker.changed:
            while not self._closed:
                if not self._broker.down:
                    self._keep_up()
                    if (record := self._next()) is not None:
                        return record
                if not self._broker.wait(deadline):
                    return None
        return None

    def held(self) -> Mapping[Partition, int]:
        return dict(self._held)

    def pause(self, partitions: Collection[Partition]) -> None:
        self._paused |= {one for one in partitions if one in self._held}

    def resume(self, partitions: Collection[Partition]) -> None:
        self._paused -= set(partitions)

    def settle(self, partition: Partition, tenure: int, offset: int) -> None:
        with self._broker.changed:
            if self._held.get(partition) == tenure and offset > self._settled.get(partition, 0):
                self._settled[partition] = offset
                if not self._broker.down:
                    self._commit([partition])

    def bury(self, letter: Letter) -> None:
        with self._broker.changed:
            self._broker.answer()
            self._broker.letters.append(letter)

    def survey(self, partitions: Collection[Partition]) -> list[Survey]:
        found = []
        with self._broker.changed:
            for one in partitions:
                log = self._broker.log(one)
                if log is not None and not self._broker.down:
                    times = [record.timestamp for record in log.records if record.timestamp is not None]
                    committed = self._broker.group(self._group).committed.get(one)
                    found.append(Survey(one, log.earliest, log.latest, committed, times[0] if times else None))
        return found

    def trim(self, bounds: Mapping[Partition, int]) -> None:
        with self._broker.changed:
            self._broker.answer()
            if not self._broker.may_trim:
                raise Conflict("nothing is trimmed: the broker does not let us delete records")
            if others := self._broker.other_readers(self._group, frozenset(one.topic for one in bounds)):
                raise Conflict(f"nothing is trimmed: other groups read the topic, such as {others[0]}")
            committed = self._broker.group(self._group).committed
            for one, bound in bounds.items():
                log = self._broker.log(one)
                until = min(bound, committed.get(one, 0))
                if log is not None and until > log.earliest:
                    del log.records[: until - log.earliest]
                    log.earliest = until

    def close(self) -> None:
        with self._broker.changed:
            if not self._closed:
                self._closed = True
                self._give_up(set(self._held))
                self._broker.expel(self._group, self.member)
                self._broker.changed.notify_all()

    def _keep_up(self) -> None:
        """What happens to a member between two polls."""
        group = self._broker.group(self._group)
        if not self._let_in:
            self._broker.let_in(self._topics)
            self._let_in = True
        if self.member not in group.members:
            # It was fenced, or it comes for the first time.
            self._forget(set(self._held))
            self._broker.join(self._group, self.member, self._topics)
            self._broker.changed.notify_all()
        if group.told[self.member] != group.rebalances:
            group.told[self.member] = group.rebalances
            self._give_up(set(self._held))
        # What could not be committed while the broker was down.
        self._commit(self._settled)
        share = self._broker.share(self._group, self.member)
        self._give_up(set(self._held) - share)
        for one in sorted(share - set(self._held)):
            if one not in group.owners:
                group.owners[one] = self.member
                self._held[one] = next(self._tenures)

    def _next(self) -> StreamRecord | None:
        for one, tenure in self._held.items():
            log = self._broker.log(one)
            if log is None or one in self._paused:
                continue
            position = max(self._position.get(one, self._committed(one)), log.earliest)
            if position < log.latest:
                self._position[one] = position + 1
                # The next poll begins with another partition.
                self._held[one] = self._held.pop(one)
                return replace(log.records[position - log.earliest], tenure=tenure)
        return None

    def _committed(self, partition: Partition) -> int:
        return self._broker.group(self._group).committed.get(partition, 0)

    def _commit(self, partitions: Collection[Partition]) -> None:
        group = self._broker.group(self._group)
        for one in partitions:
            if one in self._settled and group.owners.get(one) == self.member:
                group.committed[one] = self._settled[one]

    def _give_up(self, partitions: set[Partition]) -> None:
        """In an orderly way."""
        self._commit(partitions)
        owners = self._broker.group(self._group).owners
        for one in partitions:
            if owners.get(one) == self.member:
                del owners[one]
        self._forget(partitions)
        if partitions:
            self._broker.changed.notify_all()

    def _forget(self, partitions: set[Partition]) -> None:
        for one in partitions:
            self._held.pop(one)
            self._position.pop(one, None)
            self._settled.pop(one, None)
        self._paused -= partitions
