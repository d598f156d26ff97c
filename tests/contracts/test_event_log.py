"""The contract of `ports.event_log.EventLog`, for every adapter, with what the metadata store has to tell it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest

from contracts.conftest import PATIENCE_SECONDS, WatchedClock
from mayfly.model.errors import AlreadyExists, Conflict, Expired, LeaseLost
from mayfly.model.event import Event
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Rendition, Source
from mayfly.model.instant import MINUTE, SECOND, Ms
from mayfly.model.job import Job, Processed
from mayfly.model.lifecycle import State
from mayfly.ports.event_log import LARGEST_PAGE, EventLog
from mayfly.ports.metadata_store import Failed, GivenBack, MetadataStore, RejectedVerdict, Verdict

if TYPE_CHECKING:
    from contracts.conftest import Outbox, Race, Subject

AnImage = Callable[..., ImageRecord]

LEASE = 30 * SECOND
THUMB = Rendition("thumb", "image/webp", 1_234, 256, 192, "recipe-1")
DONE = Processed((THUMB,), {"format": "png"})


@pytest.fixture
def metadata(outbox: "Subject[Outbox]") -> MetadataStore:
    return outbox.opened.metadata


@pytest.fixture
def log(outbox: "Subject[Outbox]") -> EventLog:
    return outbox.opened.log


def admitted(metadata: MetadataStore, record: ImageRecord) -> ImageId:
    metadata.admit(record, Job(record.id))
    return record.id


def settled(metadata: MetadataStore, image_id: ImageId, verdict: Verdict) -> None:
    metadata.settle(metadata.claim(image_id, LEASE), verdict)


def states(log: EventLog, image_id: ImageId | None = None) -> list[State]:
    return [event.state for event in log.after(0) if image_id in (None, event.image_id)]


def test_nothing_happened_at_first(log: EventLog) -> None:
    assert log.after(0) == []
    assert (log.oldest(), log.newest()) == (1, 0)


def test_an_event_says_what_happened_when_and_nothing_else(
    metadata: MetadataStore, log: EventLog, clock: WatchedClock, an_image: AnImage
) -> None:
    image_id = admitted(metadata, an_image(source=Source.KAFKA))
    clock.move(5 * SECOND)
    settled(metadata, image_id, DONE)
    received, processed = log.after(0)
    assert received == Event(
        received.sequence, image_id, State.RECEIVED, None, Ms(processed.at - 5 * SECOND), Source.KAFKA
    )
    assert processed == Event(
        processed.sequence, image_id, State.PROCESSED, None, clock.now(), Source.KAFKA, ("thumb",)
    )
    assert {field.name for field in fields(Event)} == {
        *("sequence", "image_id", "state", "reason", "at", "source", "renditions")
    }


@pytest.mark.parametrize(
    ("verdict", "state", "reason"),
    [
        (DONE, State.PROCESSED, None),
        (Failed("worker-died"), State.FAILED, "worker-died"),
        (RejectedVerdict("corrupt"), State.REJECTED, "corrupt"),
    ],
)
def test_a_verdict_is_told_with_its_reason(
    metadata: MetadataStore, log: EventLog, an_image: AnImage, verdict: Verdict, state: State, reason: str | None
) -> None:
    settled(metadata, admitted(metadata, an_image()), verdict)
    last = log.after(0)[-1]
    assert (last.state, last.reason) == (state, reason)


@pytest.mark.parametrize("counted", [True, False])
def test_an_attempt_that_is_given_back_is_no_event(
    metadata: MetadataStore, log: EventLog, an_image: AnImage, counted: bool
) -> None:
    image_id = admitted(metadata, an_image())
    settled(metadata, image_id, GivenBack(counted, "worker-died"))
    metadata.claim(image_id, LEASE)
    metadata.give_back_all()
    assert states(log) == [State.RECEIVED]


def test_an_image_that_begins_anew_is_received_again_with_the_renditions_it_has(
    metadata: MetadataStore, log: EventLog, an_image: AnImage
) -> None:
    image_id = admitted(metadata, an_image())
    settled(metadata, image_id, DONE)
    metadata.reopen(image_id, Job(image_id), frozenset({State.PROCESSED}))
    settled(metadata, image_id, Failed("again"))
    assert states(log) == [State.RECEIVED, State.PROCESSED, State.RECEIVED, State.FAILED]
    assert [event.renditions for event in log.after(0)] == [(), ("thumb",), ("thumb",), ("thumb",)]


def test_a_form_that_waits_is_no_event_its_end_is(metadata: MetadataStore, log: EventLog, an_image: AnImage) -> None:
    record = an_image(state=State.AWAITED)
    metadata.admit(record, None)
    assert states(log) == []
    metadata.delete(record.id)
    assert states(log) == [State.PURGED]


def test_what_enters_as_rejected_is_told_so(metadata: MetadataStore, log: EventLog, an_image: AnImage) -> None:
    metadata.admit(an_image(state=State.REJECTED, reason="unknown-type"), None)
    assert [(event.state, event.reason) for event in log.after(0)] == [(State.REJECTED, "unknown-type")]


def test_an_erased_image_is_purged_once(metadata: MetadataStore, log: EventLog, an_image: AnImage) -> None:
    image_id = admitted(metadata, an_image())
    settled(metadata, image_id, DONE)
    assert metadata.delete(image_id)
    assert not metadata.delete(image_id)
    metadata.purge(image_id.expiry_minute)
    assert states(log) == [State.RECEIVED, State.PROCESSED, State.PURGED]
    assert log.after(0)[-1].renditions == ()


def test_a_purge_tells_of_each_image_once_and_leaves_no_minute_due(
    metadata: MetadataStore, log: EventLog, clock: WatchedClock, an_image: AnImage
) -> None:
    dying = {admitted(metadata, an_image(minutes=5, source=source)) for source in (*Source, *Source)}
    other = admitted(metadata, an_image(minutes=9))
    (minute,) = {image_id.expiry_minute for image_id in dying}
    clock.move(6 * MINUTE)
    before = log.newest()
    metadata.purge(minute)
    metadata.purge(minute)
    purged = log.after(before)
    assert {event.image_id for event in purged} == dying
    assert {(event.state, event.at) for event in purged} == {(State.PURGED, clock.now())}
    assert len(purged) == len(dying)
    assert {event.source for event in purged} == set(Source)
    assert metadata.due_minutes(minute) == []
    assert State.PURGED not in states(log, other)


def test_what_was_refused_is_not_told(
    metadata: MetadataStore, log: EventLog, clock: WatchedClock, an_image: AnImage
) -> None:
    record = an_image(minutes=5)
    image_id = admitted(metadata, record)
    claim = metadata.claim(image_id, LEASE)
    told = log.newest()
    with pytest.raises(AlreadyExists):
        metadata.admit(record, Job(image_id))
    with pytest.raises(Conflict):
        metadata.reopen(image_id, Job(image_id), frozenset({State.FAILED}))
    metadata.give_back_all()
    with pytest.raises(LeaseLost):
        metadata.settle(claim, DONE)
    clock.move(5 * MINUTE)
    with pytest.raises(Expired):
        metadata.settle(claim, DONE)
    assert log.newest() == told
    assert log.after(told) == []


def test_events_are_read_page_by_page_in_the_order_of_the_writes(
    metadata: MetadataStore, log: EventLog, an_image: AnImage
) -> None:
    ids = [admitted(metadata, an_image()) for _ in range(7)]
    found: list[Event] = []
    while page := log.after(found[-1].sequence if found else 0, 3):
        assert len(page) <= 3
        found += page
    assert [event.image_id for event in found] == ids
    sequences = [event.sequence for event in found]
    assert sequences == sorted(set(sequences))
    assert (log.oldest(), log.newest()) == (sequences[0], sequences[-1])
    assert log.after(sequences[-1]) == []


def test_a_page_is_bounded(metadata: MetadataStore, log: EventLog, an_image: AnImage) -> None:
    for _ in range(LARGEST_PAGE + 1):
        metadata.admit(an_image(), None)
    assert len(log.after(0)) == LARGEST_PAGE


def test_events_of_many_writers_come_one_by_one(
    metadata: MetadataStore, log: EventLog, an_image: AnImage, race: "Race"
) -> None:
    records = [an_image() for _ in range(16)]
    race(16, lambda number: admitted(metadata, records[number]))
    sequences = [event.sequence for event in log.after(0)]
    assert sequences == sorted(set(sequences))
    assert {event.image_id for event in log.after(0)} == {record.id for record in records}


def test_what_is_old_is_trimmed_and_no_sequence_comes_again(
    outbox: "Subject[Outbox]", clock: WatchedClock, an_image: AnImage
) -> None:
    metadata, log = outbox.opened.metadata, outbox.opened.log
    for _ in range(2):
        admitted(metadata, an_image())
        clock.move(MINUTE)
    first, second = log.after(0)
    assert log.trim(second.at) == 1
    assert log.after(0) == [second]
    assert log.oldest() == second.sequence
    assert log.trim(second.at) == 0
    assert log.trim(clock.now()) == 1
    assert (log.after(0), log.oldest(), log.newest()) == ([], second.sequence + 1, second.sequence)
    reopened = outbox.reopen()
    admitted(reopened.metadata, an_image())
    assert reopened.log.after(0)[0].sequence > second.sequence > first.sequence


def test_a_large_trim_takes_everything(
    metadata: MetadataStore, log: EventLog, clock: WatchedClock, an_image: AnImage
) -> None:
    for _ in range(1_100):
        metadata.admit(an_image(), None)
    assert log.trim(Ms(clock.now() + 1)) == 1_100


def test_events_and_cursors_outlive_a_restart(outbox: "Subject[Outbox]", an_image: AnImage) -> None:
    image_id = admitted(outbox.opened.metadata, an_image())
    outbox.opened.log.advance("ops", 1)
    log = outbox.reopen().log
    assert [event.image_id for event in log.after(0)] == [image_id]
    assert (log.cursor("ops"), log.cursor("other")) == (1, None)


def test_each_sink_has_a_cursor_of_its_own(log: EventLog) -> None:
    assert log.cursor("a") is None
    log.advance("a", 3)
    log.advance("b", 5)
    log.advance("a", 4)
    assert (log.cursor("a"), log.cursor("b")) == (4, 5)


def test_waiting_ends_at_once_where_something_came_already(
    metadata: MetadataStore, log: EventLog, an_image: AnImage
) -> None:
    admitted(metadata, an_image())
    assert log.wait(0, PATIENCE_SECONDS)
    assert log.wait(log.newest() - 1, 0)
    assert not log.wait(log.newest(), 0)


def test_waiting_in_vain_ends_on_time(log: EventLog) -> None:
    assert not log.wait(0, 0.05)


def test_an_event_wakes_all_who_wait(
    metadata: MetadataStore,
    log: EventLog,
    an_image: AnImage,
    in_background: Callable[[Callable[[], object]], Future[object]],
) -> None:
    begun = [threading.Event() for _ in range(3)]

    def wait(number: int) -> bool:
        begun[number].set()
        return log.wait(0, PATIENCE_SECONDS * 10)

    waiting = [in_background(lambda number=number: wait(number)) for number in range(3)]  # type: ignore[misc]
    for event in begun:
        assert event.wait(PATIENCE_SECONDS)
    admitted(metadata, an_image())
    assert [future.result(PATIENCE_SECONDS) for future in waiting] == [True] * 3


def test_an_awaited_image_is_told_of_once_its_bytes_came(
    metadata: MetadataStore, log: EventLog, an_image: AnImage
) -> None:
    record = an_image(state=State.AWAITED)
    metadata.admit(record, None)
    assert states(log) == []
    come = replace(record, state=State.RECEIVED, size=7)
    metadata.fulfil(come, Job(record.id))
    with pytest.raises(AlreadyExists):
        metadata.fulfil(come, Job(record.id))
    assert states(log, record.id) == [State.RECEIVED]


def test_an_image_that_was_awaited_in_vain_is_told_purged(
    metadata: MetadataStore, log: EventLog, an_image: AnImage, clock: WatchedClock
) -> None:
    record = an_image(state=State.AWAITED, source=Source.HTTP)
    metadata.admit(record, None)
    metadata.lapse(Ms(record.id.birth + 1))
    metadata.lapse(Ms(record.id.birth + 1))
    (event,) = log.after(0)
    assert (event.image_id, event.state, event.source, event.at) == (
        record.id,
        State.PURGED,
        Source.HTTP,
        clock.now(),
    )
