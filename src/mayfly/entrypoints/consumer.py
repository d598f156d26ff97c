"""The consumer of a stream: one thread polls, a crew takes, and offsets are settled when everything before is done.

The polling thread waits for nothing but the next record: neither for a disk nor for the owner. So the broker sees us
alive however slow those are, and partitions beyond what memory allows are paused meanwhile.
"""

import os
import socket
import threading
import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from mayfly.entrypoints.consumer_crew import Backoff, Burial, Crew, Take, described
from mayfly.entrypoints.consumer_hand import Hand, Keys
from mayfly.entrypoints.consumer_tending import Rounds, Tending
from mayfly.entrypoints.ending import ended_within
from mayfly.intake.envelope import envelope_of
from mayfly.model.consumption import ConsumerFigures
from mayfly.model.errors import Misconfigured
from mayfly.model.journal import Journal
from mayfly.model.stream import Partition, StreamRecord
from mayfly.ports.clock import Clock
from mayfly.ports.dead_letters import DeadLetters
from mayfly.ports.image_stream import ImageStream


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds."""

    poll: float = 0.05
    breath: float = 0.1
    """So long a full budget is waited for before partitions are paused: a pause makes the client fetch anew."""
    in_hand: float = 4.0
    """At a stop, for what is being taken."""
    backoff: Backoff = field(default_factory=Backoff)
    rounds: Rounds = field(default_factory=Rounds)


def event_of(record: StreamRecord) -> Iterable[Hashable]:
    """The CloudEvents identity that a record tells, if any."""
    event = envelope_of(record.headers, record.value).event
    return () if event is None else (event,)


class Consumer:
    """Implements `entrypoints.ending.Stoppable`."""

    def __init__(
        self,
        stream: ImageStream,
        take: Take,
        letters: DeadLetters,
        clock: Clock,
        journal: Journal,
        *,
        memory: int,
        trim: bool = False,
        keys: Keys = event_of,
        pace: Pace | None = None,
    ) -> None:
        """`memory`: bytes of records in flight at most. `keys`: what records share that are taken one at a time."""
        self.name = f"{socket.gethostname()}-{os.getpid()}"
        self.fault: Misconfigured | None = None
        """Why it ended by itself, if it did."""
        self._stream = stream
        self._clock = clock
        self._journal = journal
        self._pace = pace or Pace()
        self._hand = Hand(memory, keys, journal)
        self._burial = Burial(stream, letters)
        self._crew = Crew(self._hand, take, self._burial, self._pace.backoff)
        self._tending = Tending(
            stream, self._hand, self._burial, letters, clock, journal, trim=trim, rounds=self._pace.rounds
        )
        self._paused: frozenset[Partition] = frozenset()
        self._rebalances = 0
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._run, name="poller", daemon=True)

    def start(self) -> None:
        self._crew.start()
        self._tending.start()
        self._poller.start()

    def begin_stop(self) -> None:
        """Read no more. Returns at once."""
        self._stopping.set()
        self._tending.begin_stop()

    def stop(self, timeout_seconds: float) -> bool:
        """`begin_stop`, and wait so long at most until what is in hand is done with, settled, and the group is left.
        What is not comes again at the next start, and meets itself."""
        self.begin_stop()
        deadline = time.monotonic() + timeout_seconds
        left = ended_within([self._poller], timeout_seconds)
        return self._crew.ended(max(0.0, deadline - time.monotonic())) and left

    def wait(self, seconds: float) -> bool:
        """Wait so long at most. Whether it has ended."""
        return ended_within([self._poller], seconds)

    def figures(self) -> ConsumerFigures:
        """How it stands."""
        records, size = self._hand.in_flight()
        return ConsumerFigures(
            self.name,
            self._tending.figures(),
            size,
            records,
            dict(self._hand.ends),
            self._hand.bytes,
            self._hand.retries,
            self._rebalances,
            self._burial.written,
            self._tending.trims,
        )

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._turn()
                except Misconfigured as fault:
                    self.fault = fault
                    break
                except Exception as fault:
                    self._journal("consumer_fault", reason=described(fault))
                    self._stopping.wait(self._pace.backoff.first)
        finally:
            self._leave()

    def _turn(self) -> None:
        self._hand.wake(self._clock.now(), time.monotonic())
        self._settle()
        full = self._hand.full()
        if full:
            self._hand.wait_for_room(self._pace.breath)
        self._steer()
        record = self._stream.poll(0.0 if full else self._pace.poll)
        try:
            self._follow()
        finally:
            # Whatever goes wrong: what was read comes again from nowhere, and must not be settled past.
            if record is not None:
                self._hand.receive(record)

    def _follow(self) -> None:
        held = self._stream.held()
        if self._hand.keep(held):
            self._rebalances += 1
            # What came, came unpaused; what stayed is looked at anew.
            self._stream.resume(self._paused)
            self._paused = frozenset()
            self._journal("partitions_held", partitions=len(held))

    def _settle(self) -> None:
        for partition, tenure, offset in self._hand.moved():
            self._stream.settle(partition, tenure, offset)

    def _steer(self) -> None:
        sated = self._hand.sated()
        if sated == self._paused:
            return
        if pausing := sated - self._paused:
            self._stream.pause(pausing)
        if resuming := self._paused - sated:
            self._stream.resume(resuming)
        self._paused = sated

    def _leave(self) -> None:
        self._hand.close()
        self._hand.wait_until_idle(self._pace.in_hand)
        try:
            self._settle()
        finally:
            self._stream.close()
