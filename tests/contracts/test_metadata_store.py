"""The contract of `ports.metadata_store.MetadataStore`, for every adapter."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mayfly.adapters.memory.clock import ManualClock
from mayfly.model.errors import AlreadyExists, Conflict, Expired, InFlight, LeaseLost, NotFound
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Rendition, Source
from mayfly.model.instant import MINUTE, SECOND, Minute, Ms, minute_end
from mayfly.model.job import Job, LeaseToken, Processed
from mayfly.model.lifecycle import State
from mayfly.model.listing import Filter
from mayfly.model.retention import Retention
from mayfly.ports.clock import Clock
from mayfly.ports.metadata_store import (
    Claim,
    Failed,
    GivenBack,
    MetadataStore,
    RecordsRemoved,
    RejectedVerdict,
    Reservation,
    Verdict,
)
from mayfly.ports.work_queue import WorkQueue

if TYPE_CHECKING:
    from contracts.conftest import HandOver, Race, Subject

AnImage = Callable[..., ImageRecord]

KEY = bytes(range(32))
LEASE = 30 * SECOND
FAR = Ms(2**47)
THUMB = Rendition("thumb", "image/webp", 1_234, 256, 192, "recipe-1")
DONE = Processed((THUMB,), {"format": "png"})
ANYWHERE = frozenset(State)


def admitted(metadata: MetadataStore, record: ImageRecord, reservation: Reservation | None = None) -> ImageRecord:
    metadata.admit(record, Job(record.id), reservation)
    return record


def everything(metadata: MetadataStore, **wanted: object) -> list[ImageId]:
    """The ids of all pages, in order."""
    found: list[ImageId] = []
    after: ImageId | None = None
    while True:
        page = metadata.find(replace(Filter(limit=3, after=after), **wanted))  # type: ignore[arg-type]
        found += [record.id for record in page.records]
        assert len(found) == len(set(found)), "a page repeats what an earlier one held"
        if page.next_after is None:
            return found
        after = page.next_after


class TestReserving:
    def test_a_free_key_is_taken(self, metadata: MetadataStore, an_image: AnImage) -> None:
        image_id = an_image().id
        assert metadata.reserve(Reservation(KEY, image_id), FAR) == image_id

    def test_a_key_that_another_request_holds_is_in_flight(self, metadata: MetadataStore, an_image: AnImage) -> None:
        metadata.reserve(Reservation(KEY, an_image().id), FAR)
        with pytest.raises(InFlight):
            metadata.reserve(Reservation(KEY, an_image().id), FAR)

    def test_another_key_is_another_matter(self, metadata: MetadataStore, an_image: AnImage) -> None:
        metadata.reserve(Reservation(KEY, an_image().id), FAR)
        other = an_image().id
        assert metadata.reserve(Reservation(KEY[::-1], other), FAR) == other

    def test_whoever_holds_the_key_may_take_it_again(self, metadata: MetadataStore, an_image: AnImage) -> None:
        """A replayed Kafka record has the id of its first try: it meets itself, not another."""
        image_id = an_image().id
        metadata.reserve(Reservation(KEY, image_id), FAR)
        assert metadata.reserve(Reservation(KEY, image_id), FAR) == image_id

    def test_a_key_held_under_an_older_hash_is_held(self, metadata: MetadataStore, an_image: AnImage) -> None:
        """The hash's own key changes by the week; a repeat on the day after finds the first try all the same."""
        first = an_image()
        metadata.reserve(Reservation(KEY, first.id), FAR)
        newer = Reservation(KEY[::-1], an_image().id, (KEY,))
        with pytest.raises(InFlight):
            metadata.reserve(newer, FAR)
        admitted(metadata, first, Reservation(KEY, first.id))
        assert metadata.reserve(newer, FAR) == first.id

    def test_a_reservation_is_durable(self, hand_over: "Subject[HandOver]", an_image: AnImage) -> None:
        hand_over.opened.metadata.reserve(Reservation(KEY, an_image().id), FAR)
        with pytest.raises(InFlight):
            hand_over.reopen().metadata.reserve(Reservation(KEY, an_image().id), FAR)

    def test_a_stale_reservation_is_taken_over_once_its_time_has_come(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        until = Ms(clock.now() + 5_000)
        metadata.reserve(Reservation(KEY, an_image().id), until)
        second = an_image().id
        clock.set(Ms(until - 1))
        with pytest.raises(InFlight):
            metadata.reserve(Reservation(KEY, second), FAR)
        clock.set(until)
        assert metadata.reserve(Reservation(KEY, second), FAR) == second

    def test_who_lost_the_key_admits_nothing_under_it(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage, clock: ManualClock
    ) -> None:
        slow, quick = an_image(), an_image()
        metadata.reserve(Reservation(KEY, slow.id), clock.now())
        metadata.reserve(Reservation(KEY, quick.id), FAR)
        with pytest.raises(LeaseLost):
            admitted(metadata, slow, Reservation(KEY, slow.id))
        with pytest.raises(NotFound):
            metadata.get(slow.id)
        assert queue.depth() == 0
        admitted(metadata, quick, Reservation(KEY, quick.id))
        assert metadata.reserve(Reservation(KEY, an_image().id), FAR) == quick.id

    def test_who_lost_the_key_to_one_under_a_newer_hash_admits_nothing_either(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        slow, quick = an_image(), an_image()
        metadata.reserve(Reservation(KEY, slow.id), clock.now())
        newer = Reservation(b"n" * 32, quick.id, (KEY,))
        assert metadata.reserve(newer, FAR) == quick.id
        with pytest.raises(LeaseLost):
            admitted(metadata, slow, Reservation(KEY, slow.id))
        admitted(metadata, quick, newer)
        assert metadata.reserve(Reservation(KEY, an_image().id, (newer.key,)), FAR) == quick.id

    def test_a_stale_reservation_that_nobody_took_still_admits(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        record = an_image()
        metadata.reserve(Reservation(KEY, record.id), Ms(clock.now() + 1_000))
        clock.move(2_000)
        admitted(metadata, record, Reservation(KEY, record.id))
        assert metadata.get(record.id) == record

    def test_a_repeat_is_told_the_image_that_was_admitted(
        self, hand_over: "Subject[HandOver]", an_image: AnImage, clock: ManualClock
    ) -> None:
        record = an_image()
        reservation = Reservation(KEY, record.id)
        hand_over.opened.metadata.reserve(reservation, Ms(clock.now() + 1_000))
        admitted(hand_over.opened.metadata, record, reservation)
        clock.move(50 * MINUTE)
        assert hand_over.opened.metadata.reserve(Reservation(KEY, an_image().id), FAR) == record.id
        assert hand_over.reopen().metadata.reserve(Reservation(KEY, an_image().id), FAR) == record.id

    def test_a_repeat_is_told_the_image_that_was_erased(self, metadata: MetadataStore, an_image: AnImage) -> None:
        record = an_image()
        metadata.reserve(Reservation(KEY, record.id), FAR)
        admitted(metadata, record, Reservation(KEY, record.id))
        assert metadata.delete(record.id)
        assert metadata.reserve(Reservation(KEY, an_image().id), FAR) == record.id

    def test_the_key_of_an_image_that_is_due_is_free_again(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        record = an_image(minutes=1)
        metadata.reserve(Reservation(KEY, record.id), FAR)
        admitted(metadata, record, Reservation(KEY, record.id))
        clock.set(record.id.expires_at)
        second = an_image().id
        assert metadata.reserve(Reservation(KEY, second), FAR) == second

    def test_nothing_is_reserved_for_an_image_that_is_due(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        late = an_image(minutes=1).id
        clock.set(late.expires_at)
        with pytest.raises(Expired):
            metadata.reserve(Reservation(KEY, late), FAR)
        assert metadata.due_minutes(late.expiry_minute) == []

    def test_of_racing_requests_exactly_one_gets_the_key(
        self, metadata: MetadataStore, an_image: AnImage, race: "Race"
    ) -> None:
        ids = [an_image().id for _ in range(30)]
        outcomes = race(30, lambda number: metadata.reserve(Reservation(KEY, ids[number]), FAR))
        assert sum(outcome == ids[number] for number, outcome in enumerate(outcomes)) == 1
        assert sum(isinstance(outcome, InFlight) for outcome in outcomes) == 29


class TestReleasing:
    def test_a_released_key_is_free(self, metadata: MetadataStore, an_image: AnImage) -> None:
        first, second = an_image().id, an_image().id
        metadata.reserve(Reservation(KEY, first), FAR)
        metadata.release(Reservation(KEY, first))
        assert metadata.reserve(Reservation(KEY, second), FAR) == second

    def test_a_released_key_admits_nothing(self, metadata: MetadataStore, an_image: AnImage) -> None:
        record = an_image()
        metadata.reserve(Reservation(KEY, record.id), FAR)
        metadata.release(Reservation(KEY, record.id))
        with pytest.raises(LeaseLost):
            admitted(metadata, record, Reservation(KEY, record.id))

    def test_a_key_that_was_never_taken_is_left_alone(self, metadata: MetadataStore, an_image: AnImage) -> None:
        metadata.release(Reservation(KEY, an_image().id))

    def test_a_key_held_by_another_is_left_alone(self, metadata: MetadataStore, an_image: AnImage) -> None:
        metadata.reserve(Reservation(KEY, an_image().id), FAR)
        metadata.release(Reservation(KEY, an_image().id))
        with pytest.raises(InFlight):
            metadata.reserve(Reservation(KEY, an_image().id), FAR)

    def test_a_key_under_which_an_image_was_admitted_is_left_alone(
        self, metadata: MetadataStore, an_image: AnImage
    ) -> None:
        record = an_image()
        metadata.reserve(Reservation(KEY, record.id), FAR)
        admitted(metadata, record, Reservation(KEY, record.id))
        metadata.release(Reservation(KEY, record.id))
        assert metadata.reserve(Reservation(KEY, an_image().id), FAR) == record.id


class TestAdmitting:
    def test_record_and_job_are_there_at_once_and_after_a_restart(
        self, hand_over: "Subject[HandOver]", an_image: AnImage
    ) -> None:
        record = admitted(hand_over.opened.metadata, an_image())
        assert hand_over.opened.metadata.get(record.id) == record
        assert hand_over.opened.queue.depth() == 1
        reopened = hand_over.reopen()
        assert reopened.metadata.get(record.id) == record
        assert [delivery.job for delivery in reopened.queue.receive(10, 1_000, 0)] == [Job(record.id)]

    def test_every_field_survives(self, hand_over: "Subject[HandOver]", an_image: AnImage) -> None:
        record = an_image(
            state=State.REJECTED,
            source=Source.KAFKA,
            media_type="image/avif",
            size=10 * 2**20,
            sealed=bytes(range(256)),
            labels={"camera": "Zürich 'nord' \u2603", "empty": ""},
            attempts=3,
            reason="too-many-frames",
            renditions=(THUMB, Rendition("large", "image/jpeg", 2**31, 2_048, 1, "recipe-2")),
            facts={"width": 4_032, "sharpness": 0.25, "alpha": False, "none": None, "colours": [1, [2], {"a": "é"}]},
        )
        hand_over.opened.metadata.admit(record, None)
        assert hand_over.opened.metadata.get(record.id) == record
        assert hand_over.reopen().metadata.records(record.id.expiry_minute) == [record]

    def test_without_a_job_nothing_waits(self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage) -> None:
        metadata.admit(an_image(state=State.REJECTED), None)
        assert queue.depth() == 0

    def test_a_second_admission_changes_nothing(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage
    ) -> None:
        record = admitted(metadata, an_image())
        metadata.reserve(Reservation(KEY, record.id), FAR)
        with pytest.raises(AlreadyExists):
            admitted(metadata, replace(record, size=99), Reservation(KEY, record.id))
        assert metadata.get(record.id) == record
        assert queue.depth() == 1
        metadata.release(Reservation(KEY, record.id))
        other = an_image().id
        assert metadata.reserve(Reservation(KEY, other), FAR) == other

    def test_a_second_admission_gives_no_second_job(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage
    ) -> None:
        record = admitted(metadata, an_image())
        (delivery,) = queue.receive(1, 60_000, 0)
        queue.delete(delivery.receipt)
        with pytest.raises(AlreadyExists):
            admitted(metadata, record)
        assert queue.depth() == 0

    def test_what_is_due_is_not_admitted(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage, clock: ManualClock
    ) -> None:
        late = an_image(minutes=1)
        clock.set(late.id.expires_at)
        with pytest.raises(Expired):
            admitted(metadata, late)
        assert metadata.records(late.id.expiry_minute) == []
        assert metadata.due_minutes(late.id.expiry_minute) == []
        assert queue.depth() == 0

    def test_the_last_millisecond_still_admits(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        record = an_image(minutes=1)
        clock.set(Ms(record.id.expires_at - 1))
        assert metadata.get(admitted(metadata, record).id) == record

    def test_of_racing_admissions_of_an_id_exactly_one_wins(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage, race: "Race"
    ) -> None:
        record = an_image()
        outcomes = race(40, lambda number: admitted(metadata, replace(record, size=number)))
        winners = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, ImageRecord)]
        assert len(winners) == 1
        assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 39
        assert metadata.get(record.id).size == winners[0]
        assert queue.depth() == 1

    def test_many_images_are_admitted_at_once(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage, race: "Race"
    ) -> None:
        records = [an_image() for _ in range(50)]
        race(50, lambda number: admitted(metadata, records[number]))
        assert set(everything(metadata)) == {record.id for record in records}
        assert queue.depth() == 50


class TestGetting:
    def test_an_unknown_image_is_not_found(self, metadata: MetadataStore, an_image: AnImage) -> None:
        with pytest.raises(NotFound):
            metadata.get(an_image().id)

    def test_an_image_is_there_to_its_last_millisecond_and_no_longer(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        record = admitted(metadata, an_image(minutes=1))
        clock.set(Ms(record.id.expires_at - 1))
        assert metadata.get(record.id) == record
        clock.set(record.id.expires_at)
        with pytest.raises(Expired):
            metadata.get(record.id)

    def test_what_is_due_has_expired_whether_or_not_a_record_stands(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        purged, never = admitted(metadata, an_image(minutes=1)), an_image(minutes=1)
        clock.set(purged.id.expires_at)
        metadata.purge(purged.id.expiry_minute)
        for record in (purged, never):
            with pytest.raises(Expired):
                metadata.get(record.id)


class TestFinding:
    @pytest.fixture
    def records(self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock) -> list[ImageRecord]:
        """Ten records, oldest first, admitted in another order than born."""
        states = [State.RECEIVED, State.REJECTED]
        sources = [Source.HTTP, Source.KAFKA, Source.KAFKA]
        made = [
            an_image(birth=Ms(clock.now() + number), state=states[number % 2], source=sources[number % 3])
            for number in range(10)
        ]
        clock.move(10)
        for number in (3, 9, 0, 6, 1, 8, 4, 2, 7, 5):
            metadata.admit(made[number], None)
        return made

    def test_an_empty_store_gives_an_empty_last_page(self, metadata: MetadataStore) -> None:
        page = metadata.find(Filter())
        assert page.records == ()
        assert page.next_after is None

    def test_the_newest_birth_comes_first(self, metadata: MetadataStore, records: list[ImageRecord]) -> None:
        assert metadata.find(Filter()).records == tuple(reversed(records))

    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 9, 10, 11])
    def test_pages_leave_no_gap_and_repeat_nothing(
        self, metadata: MetadataStore, records: list[ImageRecord], limit: int
    ) -> None:
        assert everything(metadata, limit=limit) == [record.id for record in reversed(records)]

    def test_a_page_tells_the_last_id_it_holds_and_the_last_page_tells_none(
        self, metadata: MetadataStore, records: list[ImageRecord]
    ) -> None:
        page = metadata.find(Filter(limit=5))
        assert page.next_after == page.records[-1].id == records[5].id
        assert metadata.find(Filter(limit=5, after=page.next_after)).next_after is None
        assert metadata.find(Filter(limit=10)).next_after is None

    def test_by_state(self, metadata: MetadataStore, records: list[ImageRecord]) -> None:
        expected = [record.id for record in reversed(records) if record.state is State.REJECTED]
        assert everything(metadata, state=State.REJECTED) == expected
        assert everything(metadata, state=State.FAILED) == []

    def test_by_source(self, metadata: MetadataStore, records: list[ImageRecord]) -> None:
        expected = [record.id for record in reversed(records) if record.source is Source.KAFKA]
        assert everything(metadata, source=Source.KAFKA) == expected

    def test_from_an_instant_inclusive_to_an_instant_exclusive(
        self, metadata: MetadataStore, records: list[ImageRecord]
    ) -> None:
        ids = [record.id for record in reversed(records)]
        third, eighth = records[2].id.birth, records[7].id.birth
        assert everything(metadata, received_from=third) == ids[:8]
        assert everything(metadata, received_to=eighth) == ids[3:]
        assert everything(metadata, received_from=third, received_to=eighth) == ids[3:8]
        assert everything(metadata, received_from=third, received_to=third) == []

    def test_by_all_at_once(self, metadata: MetadataStore, records: list[ImageRecord]) -> None:
        found = metadata.find(
            Filter(State.REJECTED, Source.KAFKA, records[1].id.birth, records[8].id.birth, records[7].id, limit=2)
        )
        assert found.records == (records[5], records[1])
        assert found.next_after is None

    def test_images_that_arrive_meanwhile_disturb_no_paging(
        self, metadata: MetadataStore, records: list[ImageRecord], an_image: AnImage, clock: ManualClock
    ) -> None:
        found: list[ImageId] = []
        after: ImageId | None = None
        for _ in range(5):
            page = metadata.find(Filter(limit=2, after=after))
            found += [record.id for record in page.records]
            after = page.next_after
            clock.move(1)
            admitted(metadata, an_image())
        assert found == [record.id for record in reversed(records)]
        assert after is None

    def test_paging_goes_on_past_an_image_that_was_erased(
        self, metadata: MetadataStore, records: list[ImageRecord]
    ) -> None:
        page = metadata.find(Filter(limit=4))
        assert page.next_after is not None
        metadata.delete(page.next_after)
        rest = metadata.find(Filter(after=page.next_after))
        assert rest.records == tuple(reversed(records[:6]))

    def test_images_born_in_the_same_millisecond_are_all_paged(
        self, metadata: MetadataStore, an_image: AnImage
    ) -> None:
        ids = {admitted(metadata, an_image()).id for _ in range(20)}
        found = everything(metadata)
        assert len(found) == 20
        assert set(found) == ids

    def test_what_is_due_is_not_listed(self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock) -> None:
        brief, long = admitted(metadata, an_image(minutes=1)), admitted(metadata, an_image(minutes=2))
        clock.set(Ms(brief.id.expires_at - 1))
        assert set(everything(metadata)) == {brief.id, long.id}
        clock.set(brief.id.expires_at)
        assert everything(metadata) == [long.id]

    def test_what_is_due_takes_no_room_on_a_page(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        living = admitted(metadata, an_image(minutes=60))
        for _ in range(5):
            clock.move(1)
            admitted(metadata, an_image(minutes=1))
        clock.move(MINUTE)
        page = metadata.find(Filter(limit=1))
        assert page.records == (living,)
        assert page.next_after is None


class TestClaiming:
    def test_a_claim_shows_the_record_as_claimed(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        record = admitted(metadata, an_image())
        claim = metadata.claim(record.id, LEASE)
        assert claim.record == replace(record, state=State.PROCESSING, attempts=1)
        assert claim.lease_until == clock.now() + LEASE
        assert metadata.get(record.id) == claim.record

    def test_a_held_lease_is_not_given_twice(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        claim = metadata.claim(admitted(metadata, an_image()).id, LEASE)
        clock.set(Ms(claim.lease_until - 1))
        with pytest.raises(Conflict):
            metadata.claim(claim.record.id, LEASE)
        assert metadata.get(claim.record.id).attempts == 1

    def test_a_lease_that_ran_out_is_taken_over_and_counts_another_attempt(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        first = metadata.claim(admitted(metadata, an_image()).id, LEASE)
        clock.set(first.lease_until)
        second = metadata.claim(first.record.id, LEASE)
        assert second.token != first.token
        assert second.record.attempts == 2
        assert second.lease_until == first.lease_until + LEASE

    @pytest.mark.parametrize("state", [State.AWAITED, State.PROCESSED, State.FAILED, State.REJECTED])
    def test_no_other_state_is_claimed(self, metadata: MetadataStore, an_image: AnImage, state: State) -> None:
        record = an_image(state=state)
        metadata.admit(record, None)
        with pytest.raises(Conflict):
            metadata.claim(record.id, LEASE)
        assert metadata.get(record.id) == record

    def test_an_unknown_and_a_due_image_are_not_claimed(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        with pytest.raises(NotFound):
            metadata.claim(an_image().id, LEASE)
        record = admitted(metadata, an_image(minutes=1))
        clock.set(record.id.expires_at)
        with pytest.raises(Expired):
            metadata.claim(record.id, LEASE)
        assert metadata.records(record.id.expiry_minute) == [record]

    def test_no_lease_crosses_the_end_of_the_life(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        record = admitted(metadata, an_image(minutes=1))
        clock.set(Ms(record.id.expires_at - 10))
        assert metadata.claim(record.id, LEASE).lease_until == record.id.expires_at

    def test_of_racing_claims_exactly_one_wins(
        self, metadata: MetadataStore, an_image: AnImage, race: "Race", clock: ManualClock
    ) -> None:
        record = admitted(metadata, an_image())
        for round_number in (1, 2):
            outcomes = race(50, lambda _: metadata.claim(record.id, LEASE))
            assert sum(isinstance(outcome, Claim) for outcome in outcomes) == 1
            assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 49
            assert metadata.get(record.id).attempts == round_number
            clock.move(LEASE)

    def test_a_claim_is_durable(self, hand_over: "Subject[HandOver]", an_image: AnImage) -> None:
        claim = hand_over.opened.metadata.claim(admitted(hand_over.opened.metadata, an_image()).id, LEASE)
        reopened = hand_over.reopen().metadata
        with pytest.raises(Conflict):
            reopened.claim(claim.record.id, LEASE)
        assert reopened.settle(claim, DONE).state is State.PROCESSED


class TestSettling:
    @pytest.fixture
    def claim(self, metadata: MetadataStore, an_image: AnImage) -> Claim:
        return metadata.claim(admitted(metadata, an_image()).id, LEASE)

    @pytest.mark.parametrize(
        ("verdict", "expected"),
        [
            (DONE, {"state": State.PROCESSED, "renditions": (THUMB,), "facts": {"format": "png"}}),
            (Failed("worker-died"), {"state": State.FAILED, "reason": "worker-died"}),
            (RejectedVerdict("truncated"), {"state": State.REJECTED, "reason": "truncated"}),
            (GivenBack(counted=True, reason="worker-died"), {"state": State.RECEIVED, "reason": "worker-died"}),
            (GivenBack(counted=False), {"state": State.RECEIVED, "attempts": 0}),
        ],
    )
    def test_a_verdict_becomes_the_record(
        self, hand_over: "Subject[HandOver]", claim: Claim, verdict: Verdict, expected: dict[str, object]
    ) -> None:
        record = replace(claim.record, **expected)  # type: ignore[arg-type]
        assert hand_over.opened.metadata.settle(claim, verdict) == record
        assert hand_over.opened.metadata.get(claim.record.id) == record
        assert hand_over.reopen().metadata.get(claim.record.id) == record

    def test_success_takes_the_reason_of_an_earlier_failure_away(self, metadata: MetadataStore, claim: Claim) -> None:
        metadata.settle(claim, GivenBack(counted=True, reason="worker-died"))
        second = metadata.claim(claim.record.id, LEASE)
        assert second.record.attempts == 2
        assert metadata.settle(second, DONE).reason is None

    def test_success_may_seal_the_personal_fields_anew_and_leaves_them_otherwise(
        self, hand_over: "Subject[HandOver]", claim: Claim
    ) -> None:
        metadata, image_id = hand_over.opened.metadata, claim.record.id
        assert metadata.settle(claim, replace(DONE, sealed=b"sealed anew")).sealed == b"sealed anew"
        assert hand_over.reopen().metadata.get(image_id).sealed == b"sealed anew"
        metadata = hand_over.opened.metadata
        metadata.reopen(image_id, Job(image_id), frozenset({State.PROCESSED}))
        assert metadata.settle(metadata.claim(image_id, LEASE), DONE).sealed == b"sealed anew"

    def test_a_rendition_keeps_its_objects_name(self, hand_over: "Subject[HandOver]", claim: Claim) -> None:
        elsewhere = replace(THUMB, stored_as="b0123")
        hand_over.opened.metadata.settle(claim, replace(DONE, renditions=(elsewhere, THUMB)))
        assert hand_over.reopen().metadata.get(claim.record.id).renditions == (elsewhere, THUMB)

    def test_what_was_given_back_can_be_claimed_at_once(self, metadata: MetadataStore, claim: Claim) -> None:
        metadata.settle(claim, GivenBack(counted=False))
        assert metadata.claim(claim.record.id, LEASE).record.attempts == 1

    @pytest.mark.parametrize("verdict", [DONE, Failed("f"), RejectedVerdict("r"), GivenBack(counted=True)])
    def test_a_claim_is_settled_once(self, metadata: MetadataStore, claim: Claim, verdict: Verdict) -> None:
        settled = metadata.settle(claim, verdict)
        with pytest.raises(LeaseLost):
            metadata.settle(claim, Failed("again"))
        assert metadata.get(claim.record.id) == settled

    def test_a_claim_that_ran_out_still_settles_while_nobody_took_it_over(
        self, metadata: MetadataStore, claim: Claim, clock: ManualClock
    ) -> None:
        clock.set(Ms(claim.lease_until + 1))
        assert metadata.settle(claim, DONE).state is State.PROCESSED

    def test_a_claim_that_was_taken_over_settles_nothing(
        self, metadata: MetadataStore, claim: Claim, clock: ManualClock
    ) -> None:
        clock.set(claim.lease_until)
        second = metadata.claim(claim.record.id, LEASE)
        with pytest.raises(LeaseLost):
            metadata.settle(claim, DONE)
        assert metadata.get(claim.record.id) == second.record
        assert metadata.settle(second, DONE).attempts == 2

    def test_a_made_up_token_settles_nothing(self, metadata: MetadataStore, claim: Claim) -> None:
        with pytest.raises(LeaseLost):
            metadata.settle(replace(claim, token=LeaseToken("made up")), DONE)
        assert metadata.get(claim.record.id) == claim.record

    def test_a_claim_from_before_a_reopening_settles_nothing(self, metadata: MetadataStore, claim: Claim) -> None:
        reopened = metadata.reopen(claim.record.id, Job(claim.record.id), ANYWHERE)
        with pytest.raises(LeaseLost):
            metadata.settle(claim, DONE)
        assert metadata.get(claim.record.id) == reopened

    def test_settling_what_is_due_writes_nothing(
        self, metadata: MetadataStore, claim: Claim, clock: ManualClock
    ) -> None:
        clock.set(claim.record.id.expires_at)
        with pytest.raises(Expired):
            metadata.settle(claim, DONE)
        assert metadata.records(claim.record.id.expiry_minute) == [claim.record]

    def test_settling_after_the_purge_re_creates_nothing(
        self, metadata: MetadataStore, queue: WorkQueue, claim: Claim, clock: ManualClock
    ) -> None:
        clock.set(claim.record.id.expires_at)
        metadata.purge(claim.record.id.expiry_minute)
        with pytest.raises(Expired):
            metadata.settle(claim, DONE)
        assert metadata.due_minutes(claim.record.id.expiry_minute) == []
        assert queue.depth() == 0

    @pytest.mark.parametrize("verdict", [DONE, Failed("f"), RejectedVerdict("r"), GivenBack(counted=True)])
    def test_settling_after_an_erasure_re_creates_nothing(
        self, metadata: MetadataStore, claim: Claim, verdict: Verdict
    ) -> None:
        metadata.delete(claim.record.id)
        with pytest.raises(NotFound):
            metadata.settle(claim, verdict)
        assert metadata.due_minutes(claim.record.id.expiry_minute) == []

    def test_of_racing_settlements_exactly_one_counts(
        self, metadata: MetadataStore, claim: Claim, race: "Race"
    ) -> None:
        outcomes = race(30, lambda number: metadata.settle(claim, Failed(f"reason-{number}")))
        winners = [outcome for outcome in outcomes if isinstance(outcome, ImageRecord)]
        assert winners == [metadata.get(claim.record.id)]
        assert sum(isinstance(outcome, LeaseLost) for outcome in outcomes) == 29


class TestReopening:
    @pytest.mark.parametrize("origin", [State.PROCESSED, State.FAILED, State.REJECTED, State.AWAITED])
    def test_it_is_received_again_with_a_new_job_and_new_attempts(
        self, hand_over: "Subject[HandOver]", an_image: AnImage, origin: State
    ) -> None:
        record = an_image(state=origin, attempts=5, reason="worker-died", renditions=(THUMB,), facts={"width": 1})
        hand_over.opened.metadata.admit(record, None)
        expected = replace(record, state=State.RECEIVED, attempts=0, reason=None)
        job = Job(record.id)
        assert hand_over.opened.metadata.reopen(record.id, job, frozenset({origin})) == expected
        reopened = hand_over.reopen()
        assert reopened.metadata.get(record.id) == expected
        assert [delivery.job for delivery in reopened.queue.receive(10, 1_000, 0)] == [job]

    def test_its_media_type_is_set_right_where_another_one_is_given(
        self, hand_over: "Subject[HandOver]", an_image: AnImage
    ) -> None:
        record = an_image(state=State.REJECTED, media_type="application/octet-stream")
        hand_over.opened.metadata.admit(record, None)
        origins = frozenset({State.REJECTED})
        reopened = hand_over.opened.metadata.reopen(record.id, Job(record.id), origins, "image/gif")
        assert reopened == replace(record, state=State.RECEIVED, media_type="image/gif")
        assert hand_over.reopen().metadata.get(record.id) == reopened

    def test_another_state_than_the_origins_is_a_conflict(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage
    ) -> None:
        for state in (State.RECEIVED, State.FAILED, State.PROCESSED):
            record = an_image(state=state)
            metadata.admit(record, None)
            with pytest.raises(Conflict):
                metadata.reopen(record.id, Job(record.id), ANYWHERE - {state})
            assert metadata.get(record.id) == record
        assert queue.depth() == 0

    def test_an_unknown_and_a_due_image_are_not_reopened(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage, clock: ManualClock
    ) -> None:
        unknown, record = an_image(), an_image(minutes=1, state=State.FAILED)
        metadata.admit(record, None)
        with pytest.raises(NotFound):
            metadata.reopen(unknown.id, Job(unknown.id), ANYWHERE)
        clock.set(record.id.expires_at)
        with pytest.raises(Expired):
            metadata.reopen(record.id, Job(record.id), ANYWHERE)
        assert metadata.records(record.id.expiry_minute) == [record]
        assert queue.depth() == 0

    def test_of_racing_reopenings_exactly_one_wins(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage, race: "Race"
    ) -> None:
        record = an_image(state=State.FAILED)
        metadata.admit(record, None)
        outcomes = race(30, lambda _: metadata.reopen(record.id, Job(record.id), frozenset({State.FAILED})))
        assert sum(isinstance(outcome, ImageRecord) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 29
        assert queue.depth() == 1


class TestGivingBackAll:
    def test_every_lease_is_given_back_uncounted(self, hand_over: "Subject[HandOver]", an_image: AnImage) -> None:
        metadata = hand_over.opened.metadata
        claims = [metadata.claim(admitted(metadata, an_image()).id, LEASE) for _ in range(3)]
        waiting = admitted(metadata, an_image())
        reopened = hand_over.reopen().metadata
        assert reopened.give_back_all() == 3
        for claim in claims:
            assert reopened.get(claim.record.id) == replace(claim.record, state=State.RECEIVED, attempts=0)
            with pytest.raises(LeaseLost):
                reopened.settle(claim, DONE)
        assert reopened.get(waiting.id) == waiting
        assert reopened.give_back_all() == 0

    def test_a_lease_that_ran_out_is_given_back_too(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        claim = metadata.claim(admitted(metadata, an_image()).id, LEASE)
        clock.move(LEASE + 1)
        assert metadata.give_back_all() == 1
        assert metadata.get(claim.record.id).state is State.RECEIVED

    def test_only_the_last_attempt_is_uncounted(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        image_id = admitted(metadata, an_image()).id
        metadata.claim(image_id, LEASE)
        clock.move(LEASE)
        metadata.claim(image_id, LEASE)
        metadata.give_back_all()
        assert metadata.get(image_id).attempts == 1

    def test_the_jobs_in_hand_are_delivered_at_once_and_old_receipts_end(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage
    ) -> None:
        record = admitted(metadata, an_image())
        (before,) = queue.receive(1, 600_000, 0)
        metadata.claim(record.id, LEASE)
        metadata.give_back_all()
        with pytest.raises(LeaseLost):
            queue.change_visibility(before.receipt, 600_000)
        queue.delete(before.receipt)
        (after,) = queue.receive(1, 600_000, 0)
        assert after.job == before.job

    def test_unfinished_reservations_are_freed_and_kept_ones_stay(
        self, metadata: MetadataStore, an_image: AnImage
    ) -> None:
        kept = an_image()
        metadata.reserve(Reservation(KEY, kept.id), FAR)
        admitted(metadata, kept, Reservation(KEY, kept.id))
        unfinished = Reservation(KEY[::-1], an_image().id)
        metadata.reserve(unfinished, FAR)
        assert metadata.give_back_all() == 0
        second = an_image().id
        assert metadata.reserve(Reservation(unfinished.key, second), FAR) == second
        assert metadata.reserve(Reservation(KEY, an_image().id), FAR) == kept.id

    def test_what_has_lost_its_job_gets_one_anew(self, hand_over: "Subject[HandOver]", an_image: AnImage) -> None:
        metadata = hand_over.opened.metadata
        records = [an_image() for _ in range(2)]
        for record in records:
            metadata.admit(record, None)
        metadata.claim(records[0].id, LEASE)
        opened = hand_over.reopen()
        metadata, queue = opened.metadata, opened.queue
        assert metadata.give_back_all() == 1, "leases are counted, jobs are not"
        delivered = queue.receive(10, 600_000, 0)
        assert {delivery.job.image_id for delivery in delivered} == {record.id for record in records}
        assert {delivery.receive_count for delivery in delivered} == {1}
        metadata.give_back_all()
        assert queue.depth() == 2, "who has a job gets no second one"

    def test_what_is_settled_gets_no_job(self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage) -> None:
        for state in (State.PROCESSED, State.FAILED, State.REJECTED):
            metadata.admit(an_image(state=state), None)
        metadata.give_back_all()
        assert queue.depth() == 0

    def test_settled_images_stay_as_they_are(self, metadata: MetadataStore, an_image: AnImage) -> None:
        settled = metadata.settle(metadata.claim(admitted(metadata, an_image()).id, LEASE), DONE)
        assert metadata.give_back_all() == 0
        assert metadata.get(settled.id) == settled


class TestDeleting:
    def test_record_job_and_dead_letter_go(self, hand_over: "Subject[HandOver]", an_image: AnImage) -> None:
        metadata, queue = hand_over.opened.metadata, hand_over.opened.queue
        waiting, dead, other = (admitted(metadata, an_image()) for _ in range(3))
        for delivery in queue.receive(3, 600_000, 0):
            if delivery.job.image_id == dead.id:
                queue.bury(delivery.receipt, "worker-died", 5)
        assert metadata.delete(waiting.id)
        assert metadata.delete(dead.id)
        reopened = hand_over.reopen()
        assert everything(reopened.metadata) == [other.id]
        assert reopened.metadata.records(waiting.id.expiry_minute) == [other]
        assert reopened.queue.depth() == 1
        assert reopened.queue.dead_letters(10) == []
        for record in (waiting, dead):
            with pytest.raises(NotFound):
                reopened.metadata.get(record.id)

    def test_deleting_what_is_not_there_says_so(self, metadata: MetadataStore, an_image: AnImage) -> None:
        record = admitted(metadata, an_image())
        assert metadata.delete(record.id)
        assert not metadata.delete(record.id)
        assert not metadata.delete(an_image().id)

    def test_a_receipt_of_an_erased_images_job_is_lost(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage
    ) -> None:
        record = admitted(metadata, an_image())
        (delivery,) = queue.receive(1, 600_000, 0)
        metadata.delete(record.id)
        queue.delete(delivery.receipt)
        with pytest.raises(LeaseLost):
            queue.bury(delivery.receipt, "late", 1)
        assert queue.dead_letters(10) == []

    def test_of_racing_erasures_exactly_one_finds_the_record(
        self, metadata: MetadataStore, an_image: AnImage, race: "Race"
    ) -> None:
        record = admitted(metadata, an_image())
        assert sorted(map(bool, race(20, lambda _: metadata.delete(record.id)))) == [False] * 19 + [True]


class TestPurging:
    def test_due_minutes_are_listed_ascending_up_to_the_one_asked_for(
        self, metadata: MetadataStore, an_image: AnImage
    ) -> None:
        found = {
            minutes: admitted(metadata, an_image(minutes=minutes)).id.expiry_minute for minutes in (30, 2, 10, 2, 31)
        }
        assert metadata.due_minutes(found[30]) == [found[2], found[10], found[30]]
        assert metadata.due_minutes(Minute(found[2] - 1)) == []

    def test_a_minute_counts_for_whatever_stands_under_it(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage
    ) -> None:
        record, reserved = an_image(minutes=1, state=State.REJECTED), an_image(minutes=2).id
        metadata.admit(record, None)
        metadata.reserve(Reservation(KEY, reserved), FAR)
        assert metadata.due_minutes(reserved.expiry_minute) == [record.id.expiry_minute, reserved.expiry_minute]

    def test_the_records_of_a_minute_are_told_due_or_not(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        records = [admitted(metadata, an_image(minutes=5)) for _ in range(3)]
        admitted(metadata, an_image(minutes=6))
        minute = records[0].id.expiry_minute
        for instant in (clock.now(), minute_end(minute)):
            clock.set(instant)
            found = metadata.records(minute)
            assert len(found) == 3
            assert {record.id for record in found} == {record.id for record in records}
        assert metadata.records(Minute(minute + 2)) == []

    def test_everything_of_the_minute_goes_and_is_counted_by_source(
        self, hand_over: "Subject[HandOver]", an_image: AnImage, clock: ManualClock
    ) -> None:
        metadata = hand_over.opened.metadata
        dying = [admitted(metadata, an_image(minutes=5)) for _ in range(2)]
        dying += [admitted(metadata, an_image(minutes=5, source=Source.KAFKA)) for _ in range(3)]
        metadata.admit(an_image(minutes=5, state=State.REJECTED, source=Source.KAFKA), None)
        living = admitted(metadata, an_image(minutes=6))
        minute = dying[0].id.expiry_minute
        clock.set(minute_end(minute))
        assert metadata.purge(minute) == RecordsRemoved(http=2, kafka=4, jobs=5)
        reopened = hand_over.reopen()
        assert reopened.metadata.records(minute) == []
        assert reopened.metadata.due_minutes(living.id.expiry_minute) == [living.id.expiry_minute]
        assert reopened.queue.depth() == 1

    def test_it_repeats_harmlessly_and_then_counts_nothing(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        record = admitted(metadata, an_image(minutes=1))
        clock.set(minute_end(record.id.expiry_minute))
        assert metadata.purge(record.id.expiry_minute) == RecordsRemoved(http=1, jobs=1)
        assert metadata.purge(record.id.expiry_minute) == RecordsRemoved()

    def test_dead_letters_go(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage, clock: ManualClock
    ) -> None:
        record = admitted(metadata, an_image(minutes=1))
        queue.bury(queue.receive(1, 1_000, 0)[0].receipt, "worker-died", 5)
        clock.set(minute_end(record.id.expiry_minute))
        metadata.purge(record.id.expiry_minute)
        assert queue.dead_letters(10) == []
        assert metadata.due_minutes(record.id.expiry_minute) == []

    def test_kept_and_unfinished_reservations_die_with_their_minute(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock
    ) -> None:
        erased, unfinished = an_image(minutes=1), an_image(minutes=1)
        metadata.reserve(Reservation(KEY, erased.id), FAR)
        admitted(metadata, erased, Reservation(KEY, erased.id))
        metadata.delete(erased.id)
        metadata.reserve(Reservation(KEY[::-1], unfinished.id), FAR)
        minute = erased.id.expiry_minute
        assert metadata.due_minutes(minute) == [minute]
        clock.set(minute_end(minute))
        metadata.purge(minute)
        assert metadata.due_minutes(minute) == []
        for key in (KEY, KEY[::-1]):
            fresh = an_image().id
            assert metadata.reserve(Reservation(key, fresh), FAR) == fresh

    def test_a_receipt_of_a_purged_job_is_lost_and_buries_nothing(
        self, metadata: MetadataStore, queue: WorkQueue, an_image: AnImage, clock: ManualClock
    ) -> None:
        record = admitted(metadata, an_image(minutes=1))
        (delivery,) = queue.receive(1, 1_000, 0)
        clock.set(minute_end(record.id.expiry_minute))
        metadata.purge(record.id.expiry_minute)
        with pytest.raises(LeaseLost):
            queue.bury(delivery.receipt, "late", 1)
        queue.delete(delivery.receipt)
        assert metadata.due_minutes(record.id.expiry_minute) == []

    def test_late_workers_that_race_with_the_purge_bring_nothing_back(
        self, metadata: MetadataStore, an_image: AnImage, clock: ManualClock, race: "Race"
    ) -> None:
        claims = [metadata.claim(admitted(metadata, an_image(minutes=1)).id, LEASE) for _ in range(20)]
        minute = claims[0].record.id.expiry_minute
        clock.set(minute_end(minute))

        def act(number: int) -> object:
            if number >= 20:
                return metadata.purge(minute)
            return metadata.settle(claims[number], DONE)

        outcomes = race(24, act)
        assert all(isinstance(outcome, Expired) for outcome in outcomes[:20])
        assert metadata.due_minutes(minute) == []

    def test_scrubbing_loses_nothing_that_lives(self, hand_over: "Subject[HandOver]", an_image: AnImage) -> None:
        metadata = hand_over.opened.metadata
        living, erased = admitted(metadata, an_image()), admitted(metadata, an_image())
        metadata.delete(erased.id)
        metadata.scrub()
        assert everything(metadata) == [living.id]
        assert everything(hand_over.reopen().metadata) == [living.id]


class Model(RuleBasedStateMachine):
    """A metadata store beside a dictionary of records, over a few images that live one to three minutes."""

    def __init__(self, open_hand_over: Callable[[Clock], "AbstractContextManager[Subject[HandOver]]"]) -> None:
        super().__init__()
        self._clock = ManualClock(Ms(29_833_334 * MINUTE))
        self._stack = ExitStack()
        self._subject = self._stack.enter_context(open_hand_over(self._clock))
        self._known: list[ImageId] = []
        self._records: dict[ImageId, ImageRecord] = {}
        self._claims: dict[ImageId, Claim] = {}

    @property
    def _store(self) -> MetadataStore:
        return self._subject.opened.metadata

    def _refusal(self, image_id: ImageId) -> type[Exception] | None:
        if self._clock.now() >= image_id.expires_at:
            return Expired
        return None if image_id in self._records else NotFound

    def _any(self, number: int) -> ImageId:
        return self._known[number % len(self._known)]

    @rule(ms=st.integers(1, 40_000))
    def time_goes_on(self, ms: int) -> None:
        self._clock.move(ms)

    @rule(minutes=st.integers(1, 3), source=st.sampled_from(Source))
    def admit(self, minutes: int, source: Source) -> None:
        image_id = ImageId.new(self._clock.now(), Retention(minutes))
        record = ImageRecord(image_id, State.RECEIVED, source, "image/png", 3, b"sealed")
        self._store.admit(record, Job(image_id))
        self._known.append(image_id)
        self._records[image_id] = record

    @rule(number=st.integers(0, 50))
    def admit_again(self, number: int) -> None:
        record = self._records.get(self._any(number)) if self._known else None
        if record is not None:
            with pytest.raises(self._refusal(record.id) or AlreadyExists):
                self._store.admit(record, Job(record.id))

    @rule(number=st.integers(0, 50))
    def claim(self, number: int) -> None:
        if not self._known:
            return
        image_id = self._any(number)
        refusal, held = self._refusal(image_id), self._claims.get(image_id)
        if refusal is None:
            state = self._records[image_id].state
            ran_out = state is State.PROCESSING and held is not None and held.lease_until <= self._clock.now()
            refusal = None if state is State.RECEIVED or ran_out else Conflict
        if refusal is not None:
            with pytest.raises(refusal):
                self._store.claim(image_id, LEASE)
            return
        before = self._records[image_id]
        claim = self._store.claim(image_id, LEASE)
        assert claim.record == replace(before, state=State.PROCESSING, attempts=before.attempts + 1)
        self._records[image_id], self._claims[image_id] = claim.record, claim

    @rule(number=st.integers(0, 50), verdict=st.sampled_from([DONE, Failed("f"), GivenBack(counted=False)]))
    def settle(self, number: int, verdict: Processed | Failed | GivenBack) -> None:
        claim = self._claims.get(self._any(number)) if self._known else None
        if claim is None:
            return
        image_id = claim.record.id
        refusal = self._refusal(image_id)
        if refusal is None and self._records[image_id] != claim.record:
            refusal = LeaseLost
        if refusal is not None:
            with pytest.raises(refusal):
                self._store.settle(claim, verdict)
            return
        if isinstance(verdict, Processed):
            after = replace(claim.record, state=State.PROCESSED, renditions=verdict.renditions, facts=verdict.facts)
        elif isinstance(verdict, Failed):
            after = replace(claim.record, state=State.FAILED, reason=verdict.reason)
        else:
            after = replace(claim.record, state=State.RECEIVED, attempts=claim.record.attempts - 1)
        self._records[image_id] = self._store.settle(claim, verdict)
        assert self._records[image_id] == after

    @rule(number=st.integers(0, 50))
    def retry(self, number: int) -> None:
        if not self._known:
            return
        image_id = self._any(number)
        refusal = self._refusal(image_id)
        if refusal is None and self._records[image_id].state is not State.FAILED:
            refusal = Conflict
        if refusal is not None:
            with pytest.raises(refusal):
                self._store.reopen(image_id, Job(image_id), frozenset({State.FAILED}))
            return
        self._records[image_id] = self._store.reopen(image_id, Job(image_id), frozenset({State.FAILED}))
        assert self._records[image_id].state is State.RECEIVED

    @rule(number=st.integers(0, 50))
    def erase(self, number: int) -> None:
        if self._known:
            image_id = self._any(number)
            assert self._store.delete(image_id) == (self._records.pop(image_id, None) is not None)

    @rule()
    def sweep(self) -> None:
        ended = Minute(self._clock.now() // MINUTE - 1)
        for minute in self._store.due_minutes(ended):
            dying = [record for image_id, record in self._records.items() if image_id.expiry_minute == minute]
            removed = self._store.purge(minute)
            assert removed.http + removed.kafka == len(dying)
            for record in dying:
                del self._records[record.id]
        assert all(image_id.expiry_minute > ended for image_id in self._records)

    @rule()
    def the_owner_starts_anew(self) -> None:
        self._subject.reopen()
        leased = [record for record in self._records.values() if record.state is State.PROCESSING]
        assert self._store.give_back_all() == len(leased)
        for record in leased:
            self._records[record.id] = replace(record, state=State.RECEIVED, attempts=record.attempts - 1)

    @invariant()
    def agrees(self) -> None:
        living = [record for record in self._records.values() if self._clock.now() < record.id.expires_at]
        found = self._store.find(Filter(limit=200))
        assert list(found.records) == sorted(living, key=lambda record: record.id, reverse=True)
        for image_id in self._known[-5:]:
            refusal = self._refusal(image_id)
            if refusal is not None:
                with pytest.raises(refusal):
                    self._store.get(image_id)

    def teardown(self) -> None:
        self._stack.close()


def test_any_order_of_calls_leaves_what_a_dictionary_would_hold(
    open_hand_over: Callable[[Clock], "AbstractContextManager[Subject[HandOver]]"],
) -> None:
    class Bound(Model):
        def __init__(self) -> None:
            super().__init__(open_hand_over)

    run_state_machine_as_test(Bound, settings=settings(max_examples=25, stateful_step_count=30, deadline=None))
