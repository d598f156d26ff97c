"""The contract of `ports.metadata_store.MetadataStore` for images whose bytes are awaited, for every adapter."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from mayfly.adapters.memory.clock import ManualClock
from mayfly.model.errors import AlreadyExists, Conflict, Expired, NotFound
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import MINUTE, SECOND, Ms
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.listing import Filter
from mayfly.ports.metadata_store import MetadataStore
from mayfly.ports.work_queue import WorkQueue

if TYPE_CHECKING:
    from contracts.conftest import HandOver, Race, Subject

AnImage = Callable[..., ImageRecord]


@pytest.fixture
def awaited(metadata: MetadataStore, an_image: AnImage) -> ImageRecord:
    record = an_image(state=State.AWAITED, size=0, sealed=b"who asked", labels={"site": "north"})
    metadata.admit(record, None)
    return record


def come(awaited: ImageRecord, size: int = 9) -> ImageRecord:
    """The record of an awaited image whose bytes came."""
    return replace(awaited, state=State.RECEIVED, media_type="image/gif", size=size, sealed=b"sealed %d" % size)


def at_once(race: "Race", *acts: Callable[[], object]) -> list[object]:
    return race(len(acts), lambda number: acts[number]())


class TestFulfilling:
    def test_record_and_job_are_there_at_once_and_after_a_restart(
        self, hand_over: "Subject[HandOver]", awaited: ImageRecord
    ) -> None:
        hand_over.opened.metadata.fulfil(come(awaited), Job(awaited.id))
        for _ in range(2):
            assert hand_over.opened.metadata.get(awaited.id) == come(awaited)
            assert hand_over.opened.queue.depth() == 1
            hand_over.reopen()
        assert [each.job for each in hand_over.opened.queue.receive(2, 30 * SECOND, 0)] == [Job(awaited.id)]

    def test_until_then_nothing_is_to_be_done_for_it_and_nobody_may_claim_it(
        self, metadata: MetadataStore, queue: WorkQueue, awaited: ImageRecord
    ) -> None:
        assert queue.depth() == 0
        metadata.give_back_all()
        assert queue.depth() == 0
        with pytest.raises(Conflict):
            metadata.claim(awaited.id, 30 * SECOND)
        metadata.fulfil(come(awaited), Job(awaited.id))
        assert metadata.claim(awaited.id, 30 * SECOND).record.size == 9

    def test_it_is_listed_as_awaited_then_as_received(self, metadata: MetadataStore, awaited: ImageRecord) -> None:
        assert metadata.find(Filter(state=State.AWAITED)).records == (awaited,)
        metadata.fulfil(come(awaited), Job(awaited.id))
        assert metadata.find(Filter(state=State.AWAITED)).records == ()
        assert metadata.find(Filter(state=State.RECEIVED)).records == (come(awaited),)

    def test_the_second_changes_nothing(self, metadata: MetadataStore, queue: WorkQueue, awaited: ImageRecord) -> None:
        metadata.fulfil(come(awaited), Job(awaited.id))
        (delivery,) = queue.receive(1, 30 * SECOND, 0)
        with pytest.raises(AlreadyExists):
            metadata.fulfil(come(awaited, size=10), Job(awaited.id))
        assert metadata.get(awaited.id) == come(awaited)
        queue.delete(delivery.receipt)
        assert queue.depth() == 0

    @pytest.mark.parametrize("state", sorted(set(State) - {State.AWAITED, State.PURGED}))
    def test_no_other_state_is_fulfilled(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage, state: State
    ) -> None:
        record = an_image(state=state)
        metadata.admit(record, None)
        with pytest.raises(AlreadyExists):
            metadata.fulfil(come(record), Job(record.id))
        assert (metadata.get(record.id), queue.depth()) == (record, 0)

    def test_what_has_no_record_gets_none(
        self, metadata: MetadataStore, queue: WorkQueue, awaited: ImageRecord
    ) -> None:
        metadata.delete(awaited.id)
        with pytest.raises(NotFound):
            metadata.fulfil(come(awaited), Job(awaited.id))
        with pytest.raises(NotFound):
            metadata.get(awaited.id)
        assert queue.depth() == 0

    def test_it_is_fulfilled_to_its_last_millisecond_and_no_longer(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage, clock: ManualClock
    ) -> None:
        first, second = (an_image(minutes=1, state=State.AWAITED) for _ in range(2))
        for record in (first, second):
            metadata.admit(record, None)
        clock.set(Ms(first.id.expires_at - 1))
        metadata.fulfil(come(first), Job(first.id))
        clock.set(second.id.expires_at)
        with pytest.raises(Expired):
            metadata.fulfil(come(second), Job(second.id))
        assert {record.state for record in metadata.records(second.id.expiry_minute)} == {
            State.RECEIVED,
            State.AWAITED,
        }

    def test_of_racing_posts_exactly_one_wins_whole(
        self, metadata: MetadataStore, queue: WorkQueue, awaited: ImageRecord, race: "Race"
    ) -> None:
        def post(number: int) -> ImageRecord:
            record = come(awaited, size=1 + number)
            metadata.fulfil(record, Job(awaited.id))
            return record

        outcomes = race(16, post)
        (winner,) = [each for each in outcomes if isinstance(each, ImageRecord)]
        assert sum(isinstance(each, AlreadyExists) for each in outcomes) == 15
        assert (metadata.get(awaited.id), queue.depth()) == (winner, 1)

    def test_a_post_that_races_with_an_erasure_brings_nothing_back(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage, race: "Race"
    ) -> None:
        for _ in range(10):
            record = an_image(state=State.AWAITED)
            metadata.admit(record, None)
            at_once(race, partial(metadata.fulfil, come(record), Job(record.id)), partial(metadata.delete, record.id))
            with pytest.raises(NotFound):
                metadata.get(record.id)
            assert queue.depth() == 0

    def test_its_minute_purges_it(self, metadata: MetadataStore, awaited: ImageRecord, clock: ManualClock) -> None:
        clock.set(awaited.id.expires_at)
        assert metadata.due_minutes(awaited.id.expiry_minute) == [awaited.id.expiry_minute]
        assert metadata.purge(awaited.id.expiry_minute).http == 1
        assert metadata.records(awaited.id.expiry_minute) == []


class TestLapsing:
    def test_what_is_awaited_since_before_goes_and_all_else_stays(
        self, hand_over: "Subject[HandOver]", an_image: AnImage, clock: ManualClock
    ) -> None:
        metadata = hand_over.opened.metadata
        now = clock.now()
        old = [an_image(birth=Ms(now - age), state=State.AWAITED) for age in (2 * MINUTE, 1)]
        young = [an_image(birth=now, state=State.AWAITED), an_image(birth=Ms(now - MINUTE))]
        come_already = an_image(birth=Ms(now - MINUTE), state=State.AWAITED, source=Source.HTTP)
        for record in (*old, *young, come_already):
            metadata.admit(record, None)
        metadata.fulfil(come(come_already), Job(come_already.id))
        assert sorted(metadata.lapse(now)) == sorted(record.id for record in old)
        assert metadata.lapse(now) == []
        metadata = hand_over.reopen().metadata
        left = {record.id for record in metadata.find(Filter()).records}
        assert left == {*(record.id for record in young), come_already.id}

    def test_more_than_one_transaction_takes_go_all(self, metadata: MetadataStore, an_image: AnImage) -> None:
        records = [an_image(state=State.AWAITED) for _ in range(520)]
        for record in records:
            metadata.admit(record, None)
        assert len(metadata.lapse(Ms(records[0].id.birth + 1))) == 520
        assert metadata.find(Filter()).records == ()

    def test_a_post_that_races_with_it_is_whole_or_nothing(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage, race: "Race"
    ) -> None:
        for _ in range(10):
            record = an_image(state=State.AWAITED)
            metadata.admit(record, None)
            posted, lapsed = at_once(
                race,
                partial(metadata.fulfil, come(record), Job(record.id)),
                partial(metadata.lapse, Ms(record.id.birth + 1)),
            )
            if lapsed:
                assert isinstance(posted, NotFound)
            else:
                assert metadata.get(record.id) == come(record)
                assert metadata.delete(record.id)
        assert queue.depth() == 0


def test_records_are_counted_by_state(metadata: MetadataStore, an_image: AnImage, awaited: ImageRecord) -> None:
    for record in (an_image(), an_image(), an_image(state=State.AWAITED)):
        metadata.admit(record, None)
    assert {state: metadata.count(state) for state in State if metadata.count(state)} == {
        State.AWAITED: 2,
        State.RECEIVED: 2,
    }
    metadata.fulfil(come(awaited), Job(awaited.id))
    assert (metadata.count(State.AWAITED), metadata.count(State.RECEIVED)) == (1, 3)
