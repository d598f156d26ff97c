"""The consumer: whatever is slow, broken or taken away, it polls on, loses nothing and settles in order."""

import itertools
import math
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mayfly.adapters.memory.broker import MemoryBroker
from mayfly.adapters.memory.clock import ManualClock
from mayfly.adapters.memory.image_stream import MemoryImageStream
from mayfly.entrypoints.consumer import Consumer, Pace, event_of
from mayfly.entrypoints.consumer_budget import RECORD_BYTES
from mayfly.entrypoints.consumer_crew import TAKERS, Backoff, Burial
from mayfly.entrypoints.consumer_hand import SPREAD, Hand, Keys
from mayfly.entrypoints.consumer_tending import LETTERS, Rounds
from mayfly.intake.stream import Buried, Early, Kept, Outcome, Passed
from mayfly.model.errors import Conflict, InFlight, LeaseLost, StorageFull, Unavailable
from mayfly.model.identity import ImageId
from mayfly.model.instant import MINUTE, SECOND, Minute, Ms
from mayfly.model.stream import Coordinates, Letter, Partition, StreamRecord, Survey
from support.house import START, Told
from support.server import until

P0, P1 = (Partition("photos", number) for number in range(2))
MEBIBYTE = 1024 * 1024

HASTY = Pace(
    poll=0.005,
    breath=0.005,
    in_hand=10.0,
    backoff=Backoff(first=0.005, longest=0.02),
    rounds=Rounds(letters=0.01, survey=0.01),
)


def at(offset: int, partition: Partition = P0) -> Coordinates:
    return Coordinates(partition, offset)


def letter_of(place: Coordinates) -> Letter:
    return Letter.of_record(place, None, "empty-body", START, Minute(START // MINUTE + 60))


@dataclass
class Watched:
    """The memory stream, looked at, and with what may be in its way."""

    stream: MemoryImageStream
    polls: int = 0
    paused: set[Partition] = field(default_factory=set)
    closed: int = 0
    no_letters: bool = False
    poll_fault: Exception | None = None
    trim_fault: Exception | None = None
    trimmed: list[Mapping[Partition, int]] = field(default_factory=list)

    def poll(self, seconds: float) -> StreamRecord | None:
        self.polls += 1
        if self.poll_fault:
            raise self.poll_fault
        return self.stream.poll(seconds)

    def pause(self, partitions: Collection[Partition]) -> None:
        self.paused |= set(partitions)
        self.stream.pause(partitions)

    def resume(self, partitions: Collection[Partition]) -> None:
        self.paused -= set(partitions)
        self.stream.resume(partitions)

    def bury(self, letter: Letter) -> None:
        if self.no_letters:
            raise Unavailable("the dead-letter topic does not answer")
        self.stream.bury(letter)

    def trim(self, bounds: Mapping[Partition, int]) -> None:
        if self.trim_fault:
            raise self.trim_fault
        self.trimmed.append(bounds)
        self.stream.trim(bounds)

    def close(self) -> None:
        self.closed += 1
        self.stream.close()

    def held(self) -> Mapping[Partition, int]:
        return self.stream.held()

    def settle(self, partition: Partition, tenure: int, offset: int) -> None:
        self.stream.settle(partition, tenure, offset)

    def survey(self, partitions: Collection[Partition]) -> list[Survey]:
        return self.stream.survey(partitions)


@dataclass
class Letters:
    """The owner's dead letters, as far as a consumer asks."""

    waiting: list[Letter] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)
    oldest: dict[Partition, int] = field(default_factory=dict)

    def unpublished(self, limit: int, partitions: Collection[Partition] | None = None) -> list[Letter]:
        found = [letter for letter in self.waiting if letter.key not in self.marked]
        return [one for one in found if partitions is None or (one.at and one.at.partition in partitions)][:limit]

    def published(self, key: str, died_at: Ms) -> None:
        self.marked.append(key)

    def bounds(self, topic: str) -> Mapping[Partition, int]:
        return self.oldest

    def note(self, letter: Letter) -> Letter:
        raise NotImplementedError

    def letter(self, key: str) -> Letter | None:
        raise NotImplementedError

    def letters(self, wanted: object) -> list[Letter]:
        raise NotImplementedError


@dataclass
class Door:
    """Takes records as each test wants it: `ways` by place, else it keeps them."""

    ways: dict[Coordinates, Callable[[StreamRecord], Outcome]] = field(default_factory=dict)
    taken: list[Coordinates] = field(default_factory=list)
    kept: list[Coordinates] = field(default_factory=list)

    def take(self, record: StreamRecord) -> Outcome:
        self.taken.append(record.at)
        outcome = self.ways.get(record.at, self._keep)(record)
        if isinstance(outcome, Kept):
            self.kept.append(record.at)
        return outcome

    @staticmethod
    def _keep(record: StreamRecord) -> Outcome:
        return Kept(ImageId(record.at.offset), created=True)


class Gate:
    """A take that hangs until it is let go."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, record: StreamRecord) -> Outcome:
        self.reached.set()
        assert self.opened.wait(60.0)
        return Kept(ImageId(record.at.offset), created=True)


@dataclass
class Scene:
    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker({"photos": 2}))
    door: Door = field(default_factory=Door)
    letters: Letters = field(default_factory=Letters)
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    told: Told = field(default_factory=Told)
    streams: list[Watched] = field(default_factory=list)
    running: list[Consumer] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)

    @property
    def stream(self) -> Watched:
        """The consumer's that was started last."""
        return self.streams[-1]

    def put(self, count: int, partition: Partition = P0, *, value: bytes = b"x") -> None:
        for _ in range(count):
            self.broker.produce(partition, value, (), START)

    def put_event(self, event: str) -> None:
        self.broker.produce(P0, b"x", (("ce_source", b"here"), ("ce_id", event.encode())), START)

    def start(self, *, memory: int = 64 * MEBIBYTE, keys: Keys = event_of, pace: Pace = HASTY, **more: Any) -> Consumer:
        """`more`: `trim`, and faults of the stream's."""
        trim = more.pop("trim", False)
        self.streams.append(Watched(MemoryImageStream(self.broker, ("photos",)), **more))
        consumer = Consumer(
            self.stream,
            self.door.take,
            self.letters,
            self.clock,
            self.told,
            memory=memory,
            trim=trim,
            keys=keys,
            pace=pace,
        )
        self.running.append(consumer)
        consumer.start()
        return consumer

    def committed(self, partition: Partition = P0) -> int | None:
        return self.broker.committed("mayfly", partition)

    def gate(self, offset: int, partition: Partition = P0) -> Gate:
        """From now on the take of that record hangs."""
        self.gates.append(Gate())
        self.door.ways[at(offset, partition)] = self.gates[-1]
        return self.gates[-1]

    def until_kept(self, offset: int, partition: Partition = P0) -> None:
        until(lambda: at(offset, partition) in self.door.kept, f"{partition}/{offset} to be kept")

    def until_committed(self, offset: int, partition: Partition = P0) -> None:
        until(lambda: self.committed(partition) == offset, f"{partition} to be committed up to {offset}")

    def until_polled_on(self, times: int = 20) -> None:
        seen = self.stream.polls
        until(lambda: self.stream.polls >= seen + times, "more polls")


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    for gate in scene.gates:
        gate.opened.set()
    for consumer in scene.running:
        assert consumer.stop(20.0)


def raising(fault: Exception, times: float = math.inf) -> Callable[[StreamRecord], Outcome]:
    """Raises so often, then keeps."""
    raised = itertools.count()

    def way(record: StreamRecord) -> Outcome:
        if next(raised) < times:
            raise fault
        return Kept(ImageId(record.at.offset), created=True)

    return way


def test_what_is_kept_is_settled(scene: Scene) -> None:
    scene.put(3)
    scene.put(1, P1)
    consumer = scene.start()
    scene.until_committed(3)
    scene.until_committed(1, P1)
    assert sorted(scene.door.kept) == [at(0), at(1), at(2), at(0, P1)]
    assert consumer.figures().records == {"created": 4}
    assert consumer.figures().bytes == 4


@pytest.mark.parametrize("where", ["resume", "keys"])
def test_what_was_read_is_never_settled_past_whatever_goes_wrong_beside_it(
    scene: Scene, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [ValueError("unforeseen")]

    def goes_wrong(*_: object) -> Any:
        if left:
            raise left.pop()
        return None if where == "resume" else ()

    monkeypatch.setattr(Watched, "resume", goes_wrong)
    gate = scene.gate(0)
    scene.put(3)
    scene.start(keys=goes_wrong if where == "keys" else event_of)
    assert gate.reached.wait(20.0)
    scene.until_kept(2)
    assert scene.committed() is None
    gate.opened.set()
    scene.until_committed(3)


def test_while_a_take_hangs_it_polls_on_and_settles_nothing_behind_it(scene: Scene) -> None:
    gate = scene.gate(0)
    scene.put(2)
    scene.put(1, P1)
    scene.start()
    assert gate.reached.wait(20.0)
    scene.until_committed(1, P1)
    scene.until_kept(1)
    scene.until_polled_on(50)
    assert scene.committed() is None
    gate.opened.set()
    scene.until_committed(2)


def test_out_of_order_ends_are_settled_in_order(scene: Scene) -> None:
    gates = [scene.gate(offset) for offset in range(4)]
    scene.put(4)
    scene.start()
    for gate in gates:
        assert gate.reached.wait(20.0)
    for offset, committed in ((3, None), (1, None), (0, 2), (2, 4)):
        gates[offset].opened.set()
        scene.until_kept(offset)
        scene.until_polled_on(5)
        assert scene.committed() == committed


@pytest.mark.parametrize("fault", [StorageFull("full"), InFlight("twice"), LeaseLost("old"), OSError("disk")], ids=repr)
def test_what_passes_is_tried_again_and_dead_letters_nothing(scene: Scene, fault: Exception) -> None:
    scene.door.ways[at(0)] = raising(fault, 5)
    scene.put(2)
    consumer = scene.start()
    scene.until_committed(2)
    assert scene.broker.letters == []
    assert consumer.figures().retries == 5
    assert [event for event in scene.told.events if event.startswith("partition_")] == [
        "partition_waits",
        "partition_resumes",
    ]
    assert dict(scene.told.lines)["partition_waits"]["partition"] == "photos/0"


def test_a_strange_fault_is_told_without_its_text(scene: Scene) -> None:
    scene.door.ways[at(0)] = raising(ValueError("holiday.jpg"), 1)
    scene.put(1)
    scene.start()
    scene.until_committed(1)
    assert "holiday" not in str(scene.told.entries)
    assert "ValueError" in str(dict(scene.told.lines)["partition_waits"]["reason"])


def test_a_record_that_fails_for_long_keeps_no_other_partition_waiting(scene: Scene) -> None:
    scene.door.ways[at(0)] = raising(Unavailable("away"))
    scene.put(2)
    scene.put(50, P1)
    scene.start()
    scene.until_committed(50, P1)
    scene.until_kept(1)
    assert scene.committed() is None


def test_poison_has_its_letter_and_does_not_hold_its_partition(scene: Scene) -> None:
    scene.door.ways[at(1)] = lambda poison: Buried(letter_of(poison.at))
    scene.put(3)
    consumer = scene.start()
    scene.until_committed(3)
    assert scene.broker.letters == [letter_of(at(1))]
    assert scene.letters.marked == ["photos/0/1"]
    assert consumer.figures().records == {"created": 2, "buried": 1}
    assert consumer.figures().letters == 1


def test_a_letter_that_the_topic_has_is_not_written_again(scene: Scene) -> None:
    scene.door.ways[at(0)] = lambda _: Buried(replace(letter_of(at(0)), published=True))
    scene.put(1)
    scene.start()
    scene.until_committed(1)
    assert scene.broker.letters == []


def test_while_no_letter_can_be_written_its_partition_waits_and_others_go_on(scene: Scene) -> None:
    scene.door.ways[at(1)] = lambda poison: Buried(letter_of(poison.at))
    scene.put(1)
    scene.put(1, value=bytes(50_000))
    scene.put(1)
    scene.put(30, P1)
    consumer = scene.start(no_letters=True)
    scene.until_committed(30, P1)
    scene.until_committed(1)
    scene.until_polled_on()
    assert scene.committed() == 1
    # Its bytes are not waited with.
    assert 0 < consumer.figures().bytes_in_flight <= RECORD_BYTES
    scene.stream.no_letters = False
    scene.until_committed(3)
    assert [letter.key for letter in scene.broker.letters] == ["photos/0/1"]
    assert scene.door.taken.count(at(1)) == 1


def test_a_letter_that_was_written_but_not_marked_is_not_written_twice(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [1] * 3

    def mark(burial: Burial, letter: Letter) -> None:
        if left:
            left.pop()
            raise Unavailable("the owner is away")
        scene.letters.published(letter.key, letter.died_at)

    monkeypatch.setattr(Burial, "mark", mark)
    scene.door.ways[at(0)] = lambda poison: Buried(letter_of(poison.at))
    scene.put(1)
    scene.start()
    scene.until_committed(1)
    assert len(scene.broker.letters) == 1
    assert scene.letters.marked == ["photos/0/0"]


def test_letters_of_a_topic_that_is_read_no_more_keep_no_others_from_being_written(scene: Scene) -> None:
    scene.letters.waiting = [letter_of(Coordinates(Partition("once", 0), n)) for n in range(LETTERS)] + [
        letter_of(at(0))
    ]
    scene.put(1)
    scene.start()
    until(lambda: scene.broker.letters, "the letter to be written")
    assert [letter.key for letter in scene.broker.letters] == ["photos/0/0"]


def test_a_record_from_ahead_waits_by_the_clock_and_holds_no_other_up(scene: Scene) -> None:
    scene.door.ways[at(0)] = lambda early: (
        Early(Ms(START + 60 * SECOND)) if scene.clock.now() < START + 60 * SECOND else Passed("due")
    )
    scene.put(2)
    consumer = scene.start()
    scene.until_kept(1)
    scene.until_polled_on(50)
    assert scene.door.taken.count(at(0)) == 1
    assert consumer.figures().records_in_flight == 1
    scene.clock.move(60 * SECOND)
    scene.until_committed(2)
    assert consumer.figures().records == {"created": 1, "due": 1}
    assert scene.told.events == ["partitions_held"]


def test_records_of_one_event_are_taken_one_after_another(scene: Scene) -> None:
    gate = scene.gate(0)
    for event in ("a", "b", "a"):
        scene.put_event(event)
    scene.start()
    assert gate.reached.wait(20.0)
    scene.until_kept(1)
    scene.until_polled_on()
    assert at(2) not in scene.door.taken
    gate.opened.set()
    scene.until_committed(3)
    assert scene.door.kept.index(at(0)) < scene.door.kept.index(at(2))


def test_late_results_of_an_older_tenure_settle_nothing(scene: Scene) -> None:
    gate = scene.gate(0)
    scene.put(2)
    consumer = scene.start()
    assert gate.reached.wait(20.0)
    scene.until_kept(1)
    scene.broker.rebalance("mayfly")
    until(lambda: scene.door.kept.count(at(1)) == 2, "the record behind it, read again")
    # Read again, too, but not taken a second time while the first one is still out.
    assert scene.door.taken.count(at(0)) == 1
    assert scene.committed() is None
    gate.opened.set()
    scene.until_committed(2)
    assert scene.door.taken.count(at(0)) == 2
    assert consumer.figures().rebalances == 2


def test_what_waits_of_a_partition_that_is_gone_is_given_up(scene: Scene) -> None:
    for partition in (P0, P1):
        scene.door.ways[at(0, partition)] = raising(Unavailable("away"))
        scene.door.ways[at(1, partition)] = lambda _: Early(Ms(START + 60 * SECOND))
        scene.put(2, partition, value=bytes(1_000))
    consumer = scene.start()
    until(lambda: consumer.figures().records_in_flight == 4, "all to be read")
    other = MemoryImageStream(scene.broker, ("photos",))
    (gone,) = until(lambda: other.poll(0.0) and list(other.held()), "the other member's partition")
    until(lambda: consumer.figures().records_in_flight == 2, "the rest to be given up")
    assert consumer.figures().bytes_in_flight == 2 * (1_000 + RECORD_BYTES)
    tries = scene.door.taken.count(at(0, gone))
    scene.until_polled_on()
    assert scene.door.taken.count(at(0, gone)) <= tries + 1
    other.close()


def test_what_was_not_begun_of_an_older_tenure_is_not_taken(scene: Scene) -> None:
    hand = Hand(64 * MEBIBYTE, lambda _: (), scene.told)
    hand.keep({P0: 1, P1: 2})
    hand.receive(StreamRecord(at(0), 1, START, (), b"x"))
    hand.receive(wanted := StreamRecord(at(0, P1), 2, START, (), b"x"))
    hand.keep({P1: 2})
    errand = hand.to_take()
    assert errand is not None
    assert errand.record == wanted
    assert hand.in_flight()[0] == 1


def test_a_full_budget_pauses_and_resumes(scene: Scene) -> None:
    gates = [scene.gate(offset, partition) for offset in range(TAKERS // 2) for partition in (P0, P1)]
    for _ in range(20):
        for partition in (P0, P1):
            scene.put(1, partition, value=bytes(100_000))
    consumer = scene.start(memory=2_000_000)
    until(lambda: scene.stream.paused == {P0, P1}, "a pause")
    scene.until_polled_on(50)
    assert 2_000_000 <= consumer.figures().bytes_in_flight < 2_000_000 + 100_000 + RECORD_BYTES
    assert len(scene.door.taken) == TAKERS
    for gate in gates:
        gate.opened.set()
    scene.until_committed(20)
    scene.until_committed(20, P1)
    assert consumer.figures().bytes_in_flight == 0


def test_a_pause_is_over_after_a_rebalance_that_leaves_the_partition_here(scene: Scene) -> None:
    room = threading.Event()

    def once_there_is_room(record: StreamRecord) -> Outcome:
        if not room.is_set():
            raise StorageFull("full")
        return Kept(ImageId(record.at.offset), created=True)

    for offset in range(20):
        for partition, size in ((P0, 50_000), (P1, 150_000)):
            scene.door.ways[at(offset, partition)] = once_there_is_room
            scene.put(1, partition, value=bytes(size))
    consumer = scene.start(memory=1_000_000)
    until(lambda: scene.stream.paused == {P0, P1}, "a pause")
    other = MemoryImageStream(scene.broker, ("photos",))
    until(lambda: other.poll(0.0) and list(other.held()) == [P1], "the other member's partition")
    # What waited of it is given up, so that there is room for more of the one that stayed.
    until(lambda: len(consumer.figures().partitions) == 1, "its going")
    room.set()
    scene.until_committed(20, P0)
    other.close()
    scene.until_committed(20, P1)


def test_a_partition_that_waits_leaves_room_for_others(scene: Scene) -> None:
    for offset in range(100):
        scene.door.ways[at(offset)] = raising(StorageFull("full"))
    scene.put(100, value=bytes(50_000))
    scene.put(100, P1, value=bytes(50_000))
    scene.start(memory=1_000_000)
    scene.until_committed(100, P1)
    assert P0 in scene.stream.paused


def test_what_is_done_out_of_order_is_bounded(scene: Scene) -> None:
    hand = Hand(64 * MEBIBYTE, lambda _: (), scene.told)
    hand.keep({P0: 1, P1: 2})
    for offset in range(SPREAD):
        assert P0 not in hand.sated()
        hand.receive(StreamRecord(at(offset), 1, START, (), b"x"))
    assert hand.sated() == {P0}
    for _ in range(SPREAD // 2 + 1):
        errand = hand.to_take()
        assert errand is not None
        hand.finish(errand, "created")
    assert hand.sated() == frozenset()


def test_letters_of_the_partitions_held_are_written_and_no_others(scene: Scene) -> None:
    strange = Partition("elsewhere", 0)
    scene.letters.waiting = [letter_of(at(7, partition)) for partition in (P0, strange, P1)]
    scene.start()
    until(lambda: len(scene.letters.marked) == 2, "two letters")
    scene.until_polled_on()
    assert [letter.key for letter in scene.broker.letters] == ["photos/0/7", "photos/1/7"]


def test_a_letter_whose_record_is_in_hand_is_left_to_it(scene: Scene) -> None:
    gate = scene.gate(0)
    scene.put(1)
    scene.start()
    assert gate.reached.wait(20.0)
    scene.letters.waiting = [letter_of(at(0)), letter_of(at(7, P1))]
    until(lambda: scene.letters.marked == ["photos/1/7"], "the other letter")
    assert [letter.key for letter in scene.broker.letters] == ["photos/1/7"]


def test_trimming_follows_what_is_done_each_minute_and_stops_at_an_open_letter(scene: Scene) -> None:
    scene.put(5)
    scene.put(5, P1)
    scene.letters.oldest = {P1: 3}
    consumer = scene.start(trim=True)
    scene.until_committed(5)
    scene.until_committed(5, P1)
    assert scene.stream.trimmed == []
    scene.clock.move(MINUTE)
    until(lambda: scene.stream.trimmed, "a trimming")
    scene.until_polled_on(50)
    scene.clock.move(MINUTE)
    until(lambda: consumer.figures().trimmed == 2, "another one")
    assert scene.stream.trimmed == [{P0: 5, P1: 3}] * 2
    assert [found.earliest for found in scene.stream.survey([P0, P1])] == [5, 3]


def test_without_the_setting_nothing_is_trimmed(scene: Scene) -> None:
    scene.put(1)
    scene.start()
    scene.until_committed(1)
    scene.clock.move(MINUTE)
    scene.until_polled_on(50)
    assert scene.stream.trimmed == []


def test_a_trimming_that_is_refused_is_told_once(scene: Scene) -> None:
    scene.put(1)
    scene.start(trim=True, trim_fault=Conflict("others read it"))
    scene.until_committed(1)
    scene.clock.move(MINUTE)
    until(lambda: "trim_waits" in scene.told.events, "the refusal")
    scene.clock.move(MINUTE)
    scene.until_polled_on(50)
    assert scene.told.events.count("trim_waits") == 1
    scene.stream.trim_fault = None
    scene.clock.move(MINUTE)
    until(lambda: "trim_resumes" in scene.told.events, "its end")


def test_figures_tell_lag_and_age(scene: Scene) -> None:
    scene.gate(1)
    scene.put(3)
    consumer = scene.start()
    scene.until_committed(1)
    scene.clock.move(30 * SECOND)
    until(lambda: any(one.lag for one in consumer.figures().partitions), "a survey")
    first, second = consumer.figures().partitions
    assert (first.partition, first.lag, first.lag_seconds, first.oldest_age_seconds) == (P0, 2, 30.0, 30.0)
    assert (second.partition, second.lag, second.lag_seconds, second.oldest_age_seconds) == (P1, 0, 0.0, None)


def test_a_stop_finishes_what_is_in_hand_settles_it_and_leaves(scene: Scene) -> None:
    gate = scene.gate(0)
    scene.put(1)
    consumer = scene.start()
    assert gate.reached.wait(20.0)
    consumer.begin_stop()
    threading.Timer(0.2, gate.opened.set).start()
    assert consumer.stop(20.0)
    assert scene.stream.closed == 1
    assert scene.committed() == 1


def test_a_stop_waits_so_long_and_no_longer(scene: Scene) -> None:
    gate = scene.gate(0)
    scene.put(1)
    consumer = scene.start(pace=replace(HASTY, in_hand=0.05))
    assert gate.reached.wait(20.0)
    assert not consumer.stop(0.5)
    assert consumer.wait(20.0)
    assert scene.stream.closed == 1
    gate.opened.set()
    assert consumer.stop(20.0)
    assert scene.committed() is None


def test_what_a_killed_consumer_had_in_hand_comes_again(scene: Scene) -> None:
    gate = scene.gate(1)
    scene.put(3)
    first = scene.start(pace=replace(HASTY, in_hand=0.0))
    scene.until_kept(2)
    assert gate.reached.wait(20.0)
    scene.until_committed(1)
    assert not first.stop(0.2)
    del scene.door.ways[at(1)]
    scene.start()
    scene.until_committed(3)
    assert [scene.door.taken.count(at(offset)) for offset in range(3)] == [1, 2, 2]


def test_one_that_the_broker_fenced_settles_nothing_and_joins_again(scene: Scene) -> None:
    gate = scene.gate(0)
    scene.put(2)
    scene.start()
    assert gate.reached.wait(20.0)
    scene.broker.fence("mayfly", scene.stream.stream.member)
    until(lambda: scene.told.events.count("partitions_held") == 2, "its coming back")
    gate.opened.set()
    scene.until_committed(2)


def test_while_the_broker_is_away_what_is_in_hand_is_finished_and_settled_later(scene: Scene) -> None:
    gate = scene.gate(0)
    scene.put(2)
    scene.start()
    assert gate.reached.wait(20.0)
    scene.broker.down = True
    gate.opened.set()
    scene.until_kept(0)
    scene.until_polled_on()
    assert scene.committed() is None
    scene.broker.down = False
    scene.until_committed(2)
    assert scene.door.taken.count(at(0)) == 1


def test_a_broker_that_refuses_us_ends_it(scene: Scene) -> None:
    scene.broker.refusal = "kafka: wrong password"
    consumer = scene.start()
    assert consumer.wait(20.0)
    assert str(consumer.fault) == "kafka: wrong password"
    assert scene.stream.closed == 1


def test_a_fault_of_polling_is_told_and_polled_past(scene: Scene) -> None:
    consumer = scene.start(poll_fault=RuntimeError("a defect"))
    until(lambda: "consumer_fault" in scene.told.events, "the fault")
    scene.stream.poll_fault = None
    scene.put(1)
    scene.until_committed(1)
    assert consumer.fault is None
