"""A broker in memory: topics, groups whose members share partitions, and faults that a test plants."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mayfly.model.errors import Misconfigured, Unavailable
from mayfly.model.instant import Ms
from mayfly.model.stream import Coordinates, Letter, Partition, StreamRecord


@dataclass
class _Log:
    """`records[0]` stands at the offset `earliest`."""

    earliest: int = 0
    records: list[StreamRecord] = field(default_factory=list)

    @property
    def latest(self) -> int:
        return self.earliest + len(self.records)


@dataclass
class _Group:
    """`members` with the topics that they read; `owners` of partitions; `told` how many rebalances each has seen."""

    members: dict[int, frozenset[str]] = field(default_factory=dict)
    owners: dict[Partition, int] = field(default_factory=dict)
    committed: dict[Partition, int] = field(default_factory=dict)
    told: dict[int, int] = field(default_factory=dict)
    rebalances: int = 0


class MemoryBroker:
    """Threads may share it. A test sets `down` (nothing is answered), `refusal` (nobody is let in, with this text) and
    `may_trim`; `letters` are the dead letters, repetitions included."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        """`topics`: how many partitions each has."""
        self.down = False
        self.refusal: str | None = None
        self.may_trim = True
        self.letters: list[Letter] = []
        self.changed = threading.Condition()
        self._logs = {Partition(topic, number): _Log() for topic, count in topics.items() for number in range(count)}
        self._groups: dict[str, _Group] = {}

    def produce(
        self,
        partition: Partition,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp: Ms | None = None,
    ) -> Coordinates:
        """Add a record."""
        with self.changed:
            log = self._logs[partition]
            at = Coordinates(partition, log.latest)
            log.records.append(StreamRecord(at, 0, timestamp, tuple(headers), value))
            self.changed.notify_all()
            return at

    def rewind(self, group: str, partition: Partition, offset: int) -> None:
        """Set a group's offset by hand: whoever gets the partition next replays from there."""
        with self.changed:
            self.group(group).committed[partition] = offset

    def rebalance(self, group: str) -> None:
        """Every member gives up what it holds at its next poll; where there are several, partitions change hands."""
        with self.changed:
            self.group(group).rebalances += 1
            self.changed.notify_all()

    def fence(self, group: str, member: int) -> None:
        """Take everything from a member at once, without asking: what it settles from now on is not committed."""
        with self.changed:
            self.expel(group, member)
            self.changed.notify_all()

    def committed(self, group: str, partition: Partition) -> int | None:
        with self.changed:
            return self.group(group).committed.get(partition)

    # What a stream of this broker calls, with `changed` held.

    def group(self, name: str) -> _Group:
        return self._groups.setdefault(name, _Group())

    def log(self, partition: Partition) -> _Log | None:
        return self._logs.get(partition)

    def other_readers(self, group: str, topics: frozenset[str]) -> list[str]:
        """Groups that committed offsets of these topics, or whose members hold partitions of them."""
        return [
            name
            for name, other in self._groups.items()
            if name != group and any(one.topic in topics for one in (*other.committed, *other.owners))
        ]

    def let_in(self, topics: Sequence[str]) -> None:
        """
        Raises:
            Misconfigured: the refusal that a test planted, or a topic that is not there.
        """
        if self.refusal is not None:
            raise Misconfigured(self.refusal)
        there = {one.topic for one in self._logs}
        if absent := [name for name in topics if name not in there]:
            raise Misconfigured(
                *(f"topic: the broker has no topic {name}: make it, or name another" for name in absent)
            )

    def join(self, group: str, member: int, topics: Sequence[str]) -> None:
        joined = self.group(group)
        joined.members[member] = frozenset(topics)
        joined.told[member] = joined.rebalances

    def expel(self, group: str, member: int) -> None:
        left = self.group(group)
        left.members.pop(member, None)
        left.owners = {one: owner for one, owner in left.owners.items() if owner != member}

    def share(self, group: str, member: int) -> frozenset[Partition]:
        """What the member should hold by now: partitions are dealt out in turn, from another member at each
        rebalance."""
        joined = self.group(group)
        wanted = [one for one in sorted(self._logs) if any(one.topic in topics for topics in joined.members.values())]
        order = sorted(joined.members)
        return frozenset(
            one
            for number, one in enumerate(wanted)
            if order[(number + joined.rebalances) % len(order)] == member and one.topic in joined.members[member]
        )

    def wait(self, deadline: float) -> bool:
        """Until something changed; False once the time (`time.monotonic`) is over."""
        return self.changed.wait(max(0.0, deadline - time.monotonic()))

    def answer(self) -> None:
        """
        Raises:
            Unavailable: it is down.
        """
        if self.down:
            raise Unavailable("the broker is away")
