"""The relay: everything arrives, in order for each image, whatever the receiver does meanwhile."""

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from mayfly.adapters.memory.event_log import MemoryEventLog
from mayfly.entrypoints.relay import LANES, Outlet, Pace, Relay
from mayfly.entrypoints.relay_window import MOST_AHEAD, WINDOW
from mayfly.model.errors import MayflyError, Misconfigured, Postponed, Refused, StorageFull, Unavailable
from mayfly.model.event import SENT, Event
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Rendition, Source
from mayfly.model.instant import MINUTE, Ms
from mayfly.model.job import Job, Processed
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention
from mayfly.ports.event_log import KEPT_MS
from mayfly.ports.metadata_store import Failed
from support.house import House
from support.server import until

QUICK = Pace(first_backoff=0.002, longest_backoff=0.02, remember=0.05, look=0.01, away=0.05)
PATIENCE = 15.0
DONE = Processed((Rendition("thumb", "image/webp", 1, 1, 1, "r"),), {})

Fault = Callable[[Event], MayflyError | None]


@dataclass
class Receiver:
    """A sink that answers each event as `fault` says; knows who is at it at once."""

    fault: Fault = lambda _: None
    attempts: list[Event] = field(default_factory=list)
    taken: list[Event] = field(default_factory=list)
    closed: bool = False
    _at_it: set[ImageId] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def deliver(self, event: Event) -> None:
        with self._lock:
            assert event.image_id not in self._at_it, "two events of one image at once"
            self._at_it.add(event.image_id)
            self.attempts.append(event)
        try:
            fault = self.fault(event)
            if fault is not None:
                raise fault
            with self._lock:
                self.taken.append(event)
        finally:
            with self._lock:
                self._at_it.discard(event.image_id)

    def close(self) -> None:
        self.closed = True

    def of_images(self) -> dict[ImageId, list[State]]:
        found: dict[ImageId, list[State]] = defaultdict(list)
        for event in self.taken:
            found[event.image_id].append(event.state)
        return found


class Log(MemoryEventLog):
    full = False

    def advance(self, sink: str, sequence: int) -> None:
        if self.full:
            raise StorageFull("the disk has no room left")
        super().advance(sink, sequence)


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def log(house: House) -> Log:
    log = Log(house.metadata)
    log.advance("ops", 0)
    return log


@contextmanager
def relaying(
    house: House, log: MemoryEventLog, *outlets: Outlet, pace: Pace = QUICK, waits: float = 5.0
) -> Iterator[Relay]:
    relay = Relay(outlets, log, house.clock, house.told, pace)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop(waits)


def to(receiver: Receiver, *states: State, name: str = "ops") -> Outlet:
    return Outlet(name, receiver, frozenset(states or SENT))


def admitted(house: House) -> ImageId:
    image_id = ImageId.new(house.clock.now(), Retention(60))
    house.metadata.admit(ImageRecord(image_id, State.RECEIVED, Source.HTTP, "image/png", 1, b""), Job(image_id))
    return image_id


def lived(house: House) -> ImageId:
    """An image that was received, processed and erased."""
    image_id = admitted(house)
    house.metadata.settle(house.metadata.claim(image_id, MINUTE), DONE)
    house.metadata.delete(image_id)
    return image_id


def until_served(log: MemoryEventLog, name: str = "ops") -> None:
    until(lambda: log.cursor(name) == log.newest(), "the cursor", PATIENCE)


def test_everything_arrives_once_in_order_for_each_image(house: House, log: Log) -> None:
    receiver = Receiver()
    before = [lived(house) for _ in range(50)]
    with relaying(house, log, to(receiver)):
        after = [lived(house) for _ in range(50)]
        until_served(log)
    assert receiver.of_images() == {image_id: [State.PROCESSED, State.PURGED] for image_id in before + after}
    assert receiver.closed


def test_only_the_wanted_states_are_sent(house: House, log: Log) -> None:
    receiver = Receiver()
    for _ in range(100):
        lived(house)
    with relaying(house, log, to(receiver, State.FAILED)):
        image_id = admitted(house)
        house.metadata.settle(house.metadata.claim(image_id, MINUTE), Failed("worker-died"))
        until_served(log)
    assert receiver.of_images() == {image_id: [State.FAILED]}


def test_a_sink_that_is_new_hears_what_happens_from_then_on(house: House, log: Log) -> None:
    receiver = Receiver()
    lived(house)
    with relaying(house, log, to(receiver, name="new")):
        until(lambda: log.cursor("new") == log.newest(), "the beginning", PATIENCE)
        later = lived(house)
        until_served(log, "new")
    assert set(receiver.of_images()) == {later}


def test_a_receiver_that_is_away_gets_everything_when_it_is_back(house: House, log: Log) -> None:
    away = threading.Event()
    away.set()
    receiver = Receiver(lambda _: Unavailable("away") if away.is_set() else None)
    images = [lived(house) for _ in range(3 * WINDOW)]
    with relaying(house, log, to(receiver)):
        until(lambda: len(receiver.attempts) > 100, "attempts", PATIENCE)
        assert log.cursor("ops") == 1, "the first event, which is not sent out, and no other is done"
        away.clear()
        until_served(log)
    assert receiver.of_images() == {image_id: [State.PROCESSED, State.PURGED] for image_id in images}
    assert house.told.events[0] == "sink_waits"
    assert house.told.events[-1] == "sink_back"
    assert house.told.lines[0][1] == {"sink": "ops", "reason": "away"}


def test_a_flaky_receiver_sees_each_image_s_events_in_order(house: House, log: Log) -> None:
    turns = itertools.count()
    receiver = Receiver(lambda _: Unavailable("no") if next(turns) % 3 else None)
    images = [lived(house) for _ in range(40)]
    with relaying(house, log, to(receiver)):
        until_served(log)
    assert receiver.of_images() == {image_id: [State.PROCESSED, State.PURGED] for image_id in images}


def test_one_sink_that_is_down_keeps_no_other_waiting(house: House, log: Log) -> None:
    down, well = Receiver(lambda _: Unavailable("down")), Receiver()
    log.advance("well", 0)
    with relaying(house, log, to(down), to(well, name="well")):
        for _ in range(2 * WINDOW):
            lived(house)
        until_served(log, "well")
    assert down.taken == []


def test_a_receiver_is_not_asked_before_the_time_it_said(house: House, log: Log) -> None:
    first = threading.Event()

    def fault(_: Event) -> MayflyError | None:
        if first.is_set():
            return None
        first.set()
        return Postponed("later", 0.3)

    receiver = Receiver(fault)
    with relaying(house, log, to(receiver)):
        lived(house)
        assert first.wait(PATIENCE)
        for _ in range(5):
            lived(house)
        threading.Event().wait(0.15)
        assert len(receiver.attempts) == 1
        until_served(log)


def test_no_more_of_retry_after_is_believed_than_is_sensible(house: House, log: Log) -> None:
    turns = itertools.count()
    receiver = Receiver(lambda _: Postponed("later", 1e9) if next(turns) == 0 else None)
    with relaying(house, log, to(receiver), pace=Pace(first_backoff=0.002, longest_postponed=0.05, look=0.01)):
        lived(house)
        until_served(log)


def test_what_is_refused_is_dropped_after_a_few_attempts_and_told(house: House, log: Log) -> None:
    image_id, other = lived(house), lived(house)
    receiver = Receiver(lambda event: Refused("the receiver answered 422") if event.image_id == image_id else None)
    with relaying(house, log, to(receiver, State.PURGED)):
        until_served(log)
    assert set(receiver.of_images()) == {other}
    assert len([event for event in receiver.attempts if event.image_id == image_id]) == QUICK.refusals
    (dropped,) = [fields for event, fields in house.told.lines if event == "event_dropped"]
    assert dropped["reason"] == "the receiver answered 422"
    assert (dropped["sink"], dropped["image"], dropped["sequence"]) == ("ops", str(image_id), 3)


def test_what_is_older_than_a_day_is_dropped_and_told_but_not_by_a_doubted_clock(house: House, log: Log) -> None:
    receiver = Receiver()
    old = lived(house)
    house.clock.move(KEPT_MS + 1)
    fresh = admitted(house)
    house.metadata.delete(fresh)
    with relaying(house, log, to(receiver)):
        until_served(log)
    assert set(receiver.of_images()) == {fresh}
    assert {fields["image"] for event, fields in house.told.lines if event == "event_dropped"} == {str(old)}

    log.advance("doubting", 0)
    house.clock.hold()
    doubting = Receiver()
    with relaying(house, log, to(doubting, name="doubting")):
        until_served(log, "doubting")
    assert set(doubting.of_images()) == {old, fresh}


def test_one_event_that_fails_for_ever_holds_the_others_up_no_longer_than_it_takes_to_tell(
    house: House, log: Log
) -> None:
    stubborn = lived(house)
    receiver = Receiver(lambda event: Unavailable("500") if event.image_id == stubborn else None)
    with relaying(house, log, to(receiver, State.PURGED)):
        others = {lived(house) for _ in range(MOST_AHEAD + 2 * WINDOW)}
        until_served(log)
    assert set(receiver.of_images()) == others
    (dropped,) = [fields for event, fields in house.told.lines if event == "event_dropped"]
    assert dropped["image"] == str(stubborn)
    assert "while others were taken" in str(dropped["reason"])


def test_while_nothing_is_taken_nothing_is_dropped(house: House, log: Log) -> None:
    receiver = Receiver(lambda _: Unavailable("down"))
    for _ in range(MOST_AHEAD + 2 * WINDOW):
        lived(house)
    with relaying(house, log, to(receiver)):
        until(lambda: len(receiver.attempts) > 20 * WINDOW, "attempts", PATIENCE)
        assert len({event.sequence for event in receiver.attempts}) <= WINDOW
    assert "event_dropped" not in house.told.events


def test_after_a_stop_it_goes_on_where_it_was(house: House, log: Log) -> None:
    receiver = Receiver()
    first = [lived(house) for _ in range(5)]
    with relaying(house, log, to(receiver)):
        until_served(log)
    second = [lived(house) for _ in range(5)]
    with relaying(house, log, to(receiver)):
        until_served(log)
    assert receiver.of_images() == {image_id: [State.PROCESSED, State.PURGED] for image_id in first + second}


def test_a_stop_waits_for_no_delivery_and_that_one_comes_again(house: House, log: Log) -> None:
    over = threading.Event()
    stuck = Receiver(lambda _: Unavailable("too late") if over.wait(PATIENCE) else None)
    image_id = lived(house)
    with relaying(house, log, to(stuck), waits=1.0):
        until(lambda: stuck.attempts, "the attempt", PATIENCE)
    again = Receiver()
    with relaying(house, log, to(again)):
        until_served(log)
    over.set()
    assert again.of_images() == {image_id: [State.PROCESSED, State.PURGED]}


def test_a_full_disk_stops_no_delivery_only_the_memory_of_it(house: House, log: Log) -> None:
    receiver = Receiver()
    with relaying(house, log, to(receiver)):
        until_served(log)
        log.full = True
        images = {lived(house) for _ in range(3)}
        until(lambda: set(receiver.of_images()) == images, "the deliveries", PATIENCE)
        log.full = False
        until_served(log)


def test_what_was_trimmed_before_it_was_sent_is_told(house: House, log: Log) -> None:
    lived(house)
    house.clock.move(10)
    log.trim(house.clock.now())
    later = lived(house)
    receiver = Receiver()
    with relaying(house, log, to(receiver)):
        until_served(log)
    assert set(receiver.of_images()) == {later}
    assert house.told.lines[0] == ("events_lost", {"sink": "ops", "sequence": 3})


def test_a_defect_of_a_sink_is_told_and_tried_again(house: House, log: Log) -> None:
    turns = itertools.count()

    def fault(_: Event) -> MayflyError | None:
        if next(turns) == 0:
            raise ZeroDivisionError("a defect")
        return None

    receiver = Receiver(fault)
    image_id = lived(house)
    with relaying(house, log, to(receiver)):
        until_served(log)
    assert receiver.of_images() == {image_id: [State.PROCESSED, State.PURGED]}
    assert house.told.lines[0][1]["reason"] == "ZeroDivisionError: a defect"


def test_no_lane_ends_by_a_clock_that_cannot_be_read(house: House, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    now, turns = house.clock.now, itertools.count()

    def doubtful() -> Ms:
        if threading.current_thread().name.startswith("lane-") and next(turns) < 2 * LANES:
            raise Misconfigured("the clock file cannot be read")
        return now()

    images = [lived(house) for _ in range(LANES)]
    monkeypatch.setattr(house.clock, "now", doubtful)
    receiver = Receiver()
    with relaying(house, log, to(receiver)):
        until_served(log)
    assert receiver.of_images() == {one: [State.PROCESSED, State.PURGED] for one in images}
