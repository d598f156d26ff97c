"""The contract of `ports.work_queue.WorkQueue`, for every adapter."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest

from mayfly.adapters.memory.clock import ManualClock
from mayfly.model.errors import LeaseLost
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord
from mayfly.model.instant import SECOND, Ms
from mayfly.model.job import Backlog, DeadLetter, Delivery, Job, Receipt
from mayfly.model.lifecycle import State
from mayfly.ports.metadata_store import MetadataStore
from mayfly.ports.work_queue import WorkQueue

if TYPE_CHECKING:
    from contracts.conftest import HandOver, Race, Subject, WatchedClock

Send = Callable[..., ImageId]
InBackground = Callable[[Callable[[], object]], Future[object]]

HIDDEN = 30 * SECOND
LONG_WAIT = 20.0
SOON = 5.0
UNHURT = frozenset(State)


@pytest.fixture
def send(metadata: MetadataStore, an_image: Callable[..., ImageRecord]) -> Send:
    """Admits an image with its job: the only way into the queue."""

    def admit(**fields: object) -> ImageId:
        record = an_image(**fields)
        metadata.admit(record, Job(record.id))
        return record.id

    return admit


def receive_one(queue: WorkQueue, visibility_ms: int = HIDDEN) -> Delivery:
    (delivery,) = queue.receive(1, visibility_ms, 0)
    return delivery


class TestReceiving:
    def test_an_admitted_image_is_delivered(self, queue: WorkQueue, send: Send) -> None:
        image_id = send()
        delivery = receive_one(queue)
        assert delivery.job == Job(image_id)
        assert delivery.receive_count == 1

    def test_a_delivered_job_is_hidden_until_its_time_and_then_comes_again(
        self, queue: WorkQueue, send: Send, clock: ManualClock
    ) -> None:
        send()
        first = receive_one(queue)
        clock.move(HIDDEN - 1)
        assert queue.receive(1, HIDDEN, 0) == []
        clock.move(1)
        second = receive_one(queue)
        assert second.job == first.job
        assert second.receipt != first.receipt
        assert second.receive_count == 2

    def test_no_more_than_the_limit_come_at_once_and_none_twice(self, queue: WorkQueue, send: Send) -> None:
        ids = {send() for _ in range(5)}
        batches = [queue.receive(2, HIDDEN, 0) for _ in range(4)]
        assert [len(batch) for batch in batches] == [2, 2, 1, 0]
        deliveries = [delivery for batch in batches for delivery in batch]
        assert {delivery.job.image_id for delivery in deliveries} == ids
        assert len({delivery.receipt for delivery in deliveries}) == 5

    def test_the_oldest_visible_come_first(self, queue: WorkQueue, send: Send, clock: ManualClock) -> None:
        first = send()
        clock.move(10)
        second = send()
        clock.move(10)
        third = send()
        assert [delivery.job.image_id for delivery in queue.receive(2, 5, 0)] == [first, second]
        clock.move(10)
        assert receive_one(queue).job.image_id == third

    def test_a_job_whose_image_is_due_is_not_delivered(self, queue: WorkQueue, send: Send, clock: ManualClock) -> None:
        brief, long = send(minutes=1), send(minutes=2)
        clock.set(brief.expires_at)
        assert [delivery.job.image_id for delivery in queue.receive(10, HIDDEN, 0)] == [long]

    def test_to_its_last_millisecond_it_is_delivered(self, queue: WorkQueue, send: Send, clock: ManualClock) -> None:
        brief = send(minutes=1)
        clock.set(Ms(brief.expires_at - 1))
        assert receive_one(queue).job.image_id == brief

    def test_racing_receivers_never_get_the_same_job(self, queue: WorkQueue, send: Send, race: "Race") -> None:
        ids = {send() for _ in range(30)}
        outcomes = race(40, lambda _: queue.receive(1, HIDDEN, 0))
        delivered = [d.job.image_id for batch in outcomes if isinstance(batch, list) for d in batch]
        assert len(delivered) == len(set(delivered))
        rest = [delivery.job.image_id for delivery in queue.receive(40, HIDDEN, 0)]
        assert sorted(delivered + rest) == sorted(ids)

    def test_jobs_and_their_hiding_outlive_a_restart(
        self, hand_over: "Subject[HandOver]", send: Send, clock: ManualClock
    ) -> None:
        send()
        first = receive_one(hand_over.opened.queue)
        queue = hand_over.reopen().queue
        assert queue.depth() == 1
        assert queue.receive(1, HIDDEN, 0) == []
        clock.move(HIDDEN)
        second = receive_one(queue)
        assert (second.job, second.receive_count) == (first.job, 2)
        queue.delete(second.receipt)
        assert hand_over.reopen().queue.depth() == 0


class TestWaiting:
    def test_an_empty_queue_gives_an_empty_list_after_the_wait_and_not_before(self, queue: WorkQueue) -> None:
        began = time.monotonic()
        assert queue.receive(1, HIDDEN, 0.2) == []
        assert 0.2 <= time.monotonic() - began < SOON

    def test_without_a_wait_it_answers_at_once(self, queue: WorkQueue) -> None:
        began = time.monotonic()
        assert queue.receive(1, HIDDEN, 0) == []
        assert time.monotonic() - began < SOON

    def test_a_job_that_is_there_is_not_waited_for(self, queue: WorkQueue, send: Send) -> None:
        send()
        began = time.monotonic()
        assert len(queue.receive(10, HIDDEN, LONG_WAIT)) == 1
        assert time.monotonic() - began < SOON

    def test_an_admission_wakes_who_waits(
        self, queue: WorkQueue, send: Send, clock: "WatchedClock", in_background: InBackground
    ) -> None:
        waiting = begin_to_wait(queue, clock, in_background)
        image_id = send()
        assert ids_of(waiting) == [image_id]

    def test_a_reopening_wakes_who_waits(
        self,
        metadata: MetadataStore,
        queue: WorkQueue,
        an_image: Callable[..., ImageRecord],
        clock: "WatchedClock",
        in_background: InBackground,
    ) -> None:
        record = an_image(state=State.FAILED)
        metadata.admit(record, None)
        waiting = begin_to_wait(queue, clock, in_background)
        metadata.reopen(record.id, Job(record.id), UNHURT)
        assert ids_of(waiting) == [record.id]

    def test_a_job_that_becomes_visible_by_the_clock_is_noticed_while_waiting(
        self, queue: WorkQueue, send: Send, clock: "WatchedClock", in_background: InBackground
    ) -> None:
        image_id = send()
        receive_one(queue)
        waiting = begin_to_wait(queue, clock, in_background)
        assert not waiting.done()
        clock.move(HIDDEN)
        assert ids_of(waiting) == [image_id]

    def test_a_job_that_is_made_visible_is_noticed_while_waiting(
        self, queue: WorkQueue, send: Send, clock: "WatchedClock", in_background: InBackground
    ) -> None:
        image_id = send()
        delivery = receive_one(queue)
        waiting = begin_to_wait(queue, clock, in_background)
        queue.change_visibility(delivery.receipt, 0)
        assert ids_of(waiting) == [image_id]

    def test_many_who_wait_share_what_comes(
        self, queue: WorkQueue, send: Send, clock: "WatchedClock", in_background: InBackground
    ) -> None:
        waiting = [begin_to_wait(queue, clock, in_background) for _ in range(20)]
        sent = [send() for _ in range(20)]
        delivered = [image_id for future in waiting for image_id in ids_of(future)]
        assert sorted(delivered) == sorted(sent)


def begin_to_wait(queue: WorkQueue, clock: "WatchedClock", in_background: InBackground) -> Future[object]:
    """A receiver that has looked once, found nothing and waits."""
    clock.looked_at.clear()
    waiting = in_background(lambda: queue.receive(1, HIDDEN, LONG_WAIT))
    assert clock.looked_at.wait(SOON)
    return waiting


def ids_of(waiting: Future[object]) -> list[ImageId]:
    batch = waiting.result(SOON)
    assert isinstance(batch, list)
    return [delivery.job.image_id for delivery in batch]


class TestChangingVisibility:
    def test_it_counts_from_now(self, queue: WorkQueue, send: Send, clock: ManualClock) -> None:
        send()
        delivery = receive_one(queue)
        clock.move(HIDDEN - 1)
        queue.change_visibility(delivery.receipt, HIDDEN)
        clock.move(HIDDEN - 1)
        assert queue.receive(1, HIDDEN, 0) == []
        clock.move(1)
        assert receive_one(queue).receive_count == 2

    def test_zero_makes_the_job_visible_at_once(self, queue: WorkQueue, send: Send) -> None:
        send()
        queue.change_visibility(receive_one(queue).receipt, 0)
        assert receive_one(queue).receive_count == 2

    def test_who_hides_a_job_keeps_it_in_hand(self, queue: WorkQueue, send: Send) -> None:
        send()
        delivery = receive_one(queue)
        queue.change_visibility(delivery.receipt, HIDDEN)
        queue.change_visibility(delivery.receipt, 2 * HIDDEN)
        queue.delete(delivery.receipt)
        assert queue.depth() == 0

    def test_a_receipt_is_good_until_the_job_is_delivered_again(
        self, queue: WorkQueue, send: Send, clock: ManualClock
    ) -> None:
        send()
        delivery = receive_one(queue)
        clock.move(HIDDEN + 1)
        queue.change_visibility(delivery.receipt, HIDDEN)
        assert queue.receive(1, HIDDEN, 0) == []

    def test_a_job_that_is_gone_is_lost(self, queue: WorkQueue, send: Send) -> None:
        send()
        delivery = receive_one(queue)
        queue.delete(delivery.receipt)
        with pytest.raises(LeaseLost):
            queue.change_visibility(delivery.receipt, HIDDEN)

    def test_a_job_that_was_delivered_again_is_lost(self, queue: WorkQueue, send: Send, clock: ManualClock) -> None:
        send()
        first = receive_one(queue)
        clock.move(HIDDEN)
        receive_one(queue)
        with pytest.raises(LeaseLost):
            queue.change_visibility(first.receipt, 0)
        assert queue.receive(1, HIDDEN, 0) == []

    def test_a_made_up_receipt_is_lost(self, queue: WorkQueue, send: Send) -> None:
        send()
        with pytest.raises(LeaseLost):
            queue.change_visibility(Receipt("made up"), 0)


class TestDeleting:
    def test_a_deleted_job_never_comes_again(self, queue: WorkQueue, send: Send, clock: ManualClock) -> None:
        send()
        queue.delete(receive_one(queue).receipt)
        clock.move(2 * HIDDEN)
        assert queue.receive(1, HIDDEN, 0) == []
        assert queue.depth() == 0

    def test_deleting_twice_or_what_never_was_is_no_error(self, queue: WorkQueue, send: Send) -> None:
        send()
        delivery = receive_one(queue)
        queue.delete(delivery.receipt)
        queue.delete(delivery.receipt)
        queue.delete(Receipt("made up"))

    def test_a_job_that_was_delivered_again_stays(self, queue: WorkQueue, send: Send, clock: ManualClock) -> None:
        send()
        first = receive_one(queue)
        clock.move(HIDDEN)
        second = receive_one(queue)
        queue.delete(first.receipt)
        assert queue.depth() == 1
        queue.delete(second.receipt)
        assert queue.depth() == 0

    def test_only_the_one_job_goes(self, queue: WorkQueue, send: Send) -> None:
        ids = {send(), send(), send()}
        gone = receive_one(queue)
        queue.delete(gone.receipt)
        assert {delivery.job.image_id for delivery in queue.receive(10, HIDDEN, 0)} == ids - {gone.job.image_id}

    def test_a_receipt_from_before_a_reopening_does_not_touch_the_new_job(
        self, metadata: MetadataStore, queue: WorkQueue, send: Send
    ) -> None:
        image_id = send()
        before = receive_one(queue)
        metadata.reopen(image_id, Job(image_id), UNHURT)
        queue.delete(before.receipt)
        with pytest.raises(LeaseLost):
            queue.change_visibility(before.receipt, 10 * HIDDEN)
        with pytest.raises(LeaseLost):
            queue.bury(before.receipt, "late", 1)
        delivery = receive_one(queue)
        assert (delivery.job.image_id, delivery.receive_count) == (image_id, 1)
        assert queue.dead_letters(10) == []


class TestDeadLetters:
    def test_a_buried_job_becomes_a_letter_and_is_delivered_no_more(
        self, hand_over: "Subject[HandOver]", send: Send, clock: ManualClock
    ) -> None:
        queue, image_id = hand_over.opened.queue, send()
        delivery = receive_one(queue)
        clock.move(5)
        queue.bury(delivery.receipt, "worker-died", 5)
        letter = DeadLetter(Job(image_id), "worker-died", 5, clock.now())
        clock.move(2 * HIDDEN)
        assert queue.receive(1, HIDDEN, 0) == []
        assert queue.depth() == 0
        assert queue.dead_letters(10) == [letter]
        assert hand_over.reopen().queue.dead_letters(10) == [letter]

    def test_burying_what_is_gone_or_was_delivered_again_is_lost(
        self, queue: WorkQueue, send: Send, clock: ManualClock
    ) -> None:
        send()
        first = receive_one(queue)
        clock.move(HIDDEN)
        second = receive_one(queue)
        with pytest.raises(LeaseLost):
            queue.bury(first.receipt, "late", 1)
        assert queue.depth() == 1
        queue.delete(second.receipt)
        with pytest.raises(LeaseLost):
            queue.bury(second.receipt, "late", 1)
        assert queue.dead_letters(10) == []

    def test_of_racing_burials_exactly_one_counts(self, queue: WorkQueue, send: Send, race: "Race") -> None:
        send()
        delivery = receive_one(queue)
        outcomes = race(20, lambda number: queue.bury(delivery.receipt, str(number), number))
        assert outcomes.count(None) == 1
        assert sum(isinstance(outcome, LeaseLost) for outcome in outcomes) == 19
        (letter,) = queue.dead_letters(10)
        assert letter.attempts == outcomes.index(None)

    def test_letters_come_by_image_id_ascending_and_in_pages(self, queue: WorkQueue, send: Send) -> None:
        ids = sorted(send() for _ in range(7))
        for delivery in reversed(queue.receive(7, HIDDEN, 0)):
            queue.bury(delivery.receipt, "worker-died", 5)
        found = [letter.job.image_id for letter in queue.dead_letters(10)]
        assert found == ids
        first = queue.dead_letters(3)
        rest = queue.dead_letters(10, after=first[-1].job.image_id)
        assert [letter.job.image_id for letter in first + rest] == ids
        assert queue.dead_letters(10, after=ids[-1]) == []

    def test_reopening_an_image_takes_its_letter_away_and_no_other(
        self, metadata: MetadataStore, queue: WorkQueue, send: Send
    ) -> None:
        reopened, other = send(), send()
        for delivery in queue.receive(2, HIDDEN, 0):
            queue.bury(delivery.receipt, "worker-died", 5)
        metadata.reopen(reopened, Job(reopened), UNHURT)
        assert [letter.job.image_id for letter in queue.dead_letters(10)] == [other]
        delivery = receive_one(queue)
        assert (delivery.job.image_id, delivery.receive_count) == (reopened, 1)

    def test_an_image_that_dies_again_has_one_letter(
        self, metadata: MetadataStore, queue: WorkQueue, send: Send
    ) -> None:
        image_id = send()
        queue.bury(receive_one(queue).receipt, "first", 5)
        metadata.reopen(image_id, Job(image_id), UNHURT)
        queue.bury(receive_one(queue).receipt, "second", 5)
        assert [letter.reason for letter in queue.dead_letters(10)] == ["second"]


def test_depth_counts_what_waits_and_what_is_in_hand_but_no_letters(queue: WorkQueue, send: Send) -> None:
    assert queue.depth() == 0
    for _ in range(4):
        send()
    buried, deleted = queue.receive(2, HIDDEN, 0)
    assert queue.depth() == 4
    queue.bury(buried.receipt, "worker-died", 5)
    queue.delete(deleted.receipt)
    assert queue.depth() == 2


class TestBacklog:
    def test_an_empty_queue_has_none(self, queue: WorkQueue) -> None:
        assert queue.backlog() == Backlog(0, 0, 0, None)

    def test_jobs_wait_are_hidden_and_are_buried(
        self, hand_over: "Subject[HandOver]", send: Send, clock: ManualClock
    ) -> None:
        queue = hand_over.opened.queue
        born = clock.now()
        for _ in range(3):
            send()
            clock.move(10)
        deliveries = queue.receive(2, HIDDEN, 0)
        assert queue.backlog() == Backlog(1, 2, 0, born)
        queue.bury(deliveries[0].receipt, "worn-out", 5)
        queue.delete(deliveries[1].receipt)
        assert queue.backlog() == Backlog(1, 0, 1, Ms(born + 20))
        assert hand_over.reopen().queue.backlog() == Backlog(1, 0, 1, Ms(born + 20))

    def test_what_is_hidden_waits_again_when_its_time_has_come(
        self, queue: WorkQueue, send: Send, clock: ManualClock
    ) -> None:
        send()
        receive_one(queue)
        clock.move(HIDDEN)
        backlog = queue.backlog()
        assert (backlog.waiting, backlog.hidden) == (1, 0)
