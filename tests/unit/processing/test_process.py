"""Each way in which processing one image can end."""

import threading
from dataclasses import replace

import pytest

from mayfly.model.address import Address
from mayfly.model.errors import (
    AttemptFailed,
    ClockHeld,
    MayflyError,
    NotFound,
    Rejected,
    StorageFull,
    WorkerDied,
    WorkerOverdue,
)
from mayfly.model.image import Source
from mayfly.model.instant import MINUTE, SECOND, Ms
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.retention.erase import Erasure
from support.house import Crash, Failing
from support.workshop import ATTEMPTS, LEASE_MS, Workshop


@pytest.fixture
def shop() -> Workshop:
    return Workshop()


def test_a_run_that_works_stores_renditions_and_facts_and_ends_the_job(shop: Workshop) -> None:
    image_id = shop.admit(b"the original's bytes")
    assert shop.run()
    assert shop.sandbox.bodies == [b"the original's bytes"]
    record = shop.metadata.get(image_id)
    assert (record.state, record.attempts, shop.queue.depth(), shop.buried()) == (State.PROCESSED, 1, 0, [])
    assert {rendition.name: rendition.size for rendition in record.renditions} == {"thumb": 7, "large": 11}
    reader = shop.vault.open(Address.rendition(image_id, "thumb"))
    assert b"".join(reader.chunks()) == b"a thumb"
    assert record.facts is not None
    assert record.facts["frames"] == 1
    assert {"decode_ms", "open_ms", "queued_ms", "store_ms"} <= record.facts["timings"].keys()
    assert len(record.facts["fingerprint"]) == 2


def test_without_a_job_nothing_is_done(shop: Workshop) -> None:
    assert not shop.run()


@pytest.mark.parametrize(("source", "kept"), [(Source.HTTP, False), (Source.KAFKA, True)])
def test_a_rejected_image_is_not_tried_again_and_only_kafkas_bytes_are_kept(
    shop: Workshop, source: Source, kept: bool
) -> None:
    image_id = shop.admit(source=source)
    shop.sandbox.faults = [Rejected("truncated")]
    shop.run()
    assert shop.ending(image_id) == (State.REJECTED, 1, "truncated")
    assert (shop.queue.depth(), shop.buried()) == (0, [])
    assert bool(shop.standing()) is kept


@pytest.mark.parametrize("fault", [AttemptFailed("out-of-memory"), WorkerDied("died"), WorkerOverdue("overdue")])
def test_a_failed_attempt_is_counted_and_comes_back_after_a_pause(shop: Workshop, fault: MayflyError) -> None:
    image_id = shop.admit()
    shop.sandbox.faults = [fault]
    shop.run()
    assert shop.ending(image_id) == (State.RECEIVED, 1, str(fault))
    assert not shop.run()
    shop.clock.move(2 * SECOND)
    assert shop.run()
    assert shop.ending(image_id) == (State.PROCESSED, 2, None)


def test_pauses_grow(shop: Workshop) -> None:
    shop.admit()
    shop.sandbox.faults = [WorkerDied("worker-died"), WorkerDied("worker-died")]
    shop.run()
    shop.clock.move(2 * SECOND)
    shop.run()
    shop.clock.move(2 * SECOND - 1)
    assert not shop.run()
    shop.clock.move(2 * SECOND + 1)
    assert shop.run()


def test_after_its_attempts_an_image_is_failed_and_buried_and_its_original_kept(shop: Workshop) -> None:
    image_id = shop.admit()
    shop.sandbox.faults = [WorkerDied("worker-died")] * ATTEMPTS
    for _ in range(ATTEMPTS):
        assert shop.run()
        shop.clock.move(60 * SECOND)
    assert shop.ending(image_id) == (State.FAILED, ATTEMPTS, "worker-died")
    assert (shop.queue.depth(), shop.buried()) == (0, [(image_id, "worker-died", ATTEMPTS)])
    assert shop.standing() == {Address.original(image_id).file_name}
    assert not shop.run()


def test_a_missing_original_fails_at_once(shop: Workshop) -> None:
    image_id = shop.admit()
    shop.objects.delete(Address.original(image_id))
    shop.run()
    assert shop.ending(image_id) == (State.FAILED, 1, "original-missing")
    assert shop.buried() == [(image_id, "original-missing", 1)]


def test_an_original_that_was_swapped_fails_at_once(shop: Workshop) -> None:
    image_id = shop.admit(b"four")
    shop.put(Address.original(image_id), b"fives")
    shop.run()
    assert shop.ending(image_id) == (State.FAILED, 1, "original-damaged")
    assert shop.sandbox.bodies == []


def test_a_full_disk_gives_the_image_back_uncounted(shop: Workshop) -> None:
    image_id = shop.admit()
    shop.sandbox.faults = [StorageFull("full")]
    shop.run()
    assert shop.ending(image_id) == (State.RECEIVED, 0, "full")
    shop.clock.move(2 * SECOND)
    shop.run()
    assert shop.ending(image_id) == (State.PROCESSED, 1, None)


@pytest.mark.parametrize(
    ("fault", "ending"),
    [
        (StorageFull("full"), (State.RECEIVED, 0, "full")),
        (WorkerDied("worker-died"), (State.RECEIVED, 1, "worker-died")),
        (Rejected("corrupt"), (State.REJECTED, 1, "corrupt")),
    ],
)
def test_a_verdict_waits_for_room_to_be_written(
    shop: Workshop, fault: MayflyError, ending: tuple[State, int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mayfly.processing.verdicts._LOOK_AGAIN_EVERY", 0.001)
    image_id = shop.admit()
    shop.sandbox.faults = [fault]
    metadata = Failing(shop.metadata, at=1, fault=StorageFull("full"), names=frozenset({"settle"}))
    shop.run(metadata=metadata)
    assert metadata.calls == 2
    assert shop.told.events == ["verdict_waits", "given_back" if ending[0] is State.RECEIVED else ending[0]]
    assert shop.ending(image_id) == ending


@pytest.mark.parametrize("fault", [StorageFull("full"), WorkerDied("worker-died"), Rejected("corrupt")])
def test_an_owner_that_stops_on_a_full_disk_leaves_the_lease_to_the_next(shop: Workshop, fault: MayflyError) -> None:
    image_id = shop.admit()
    shop.sandbox.faults = [fault]
    shop.stopping.set()
    shop.run(metadata=Failing(shop.metadata, at=1, fault=StorageFull("full"), names=frozenset({"settle"})))
    assert shop.ending(image_id) == (State.PROCESSING, 1, None)
    assert shop.standing() == {Address.original(image_id).file_name}
    shop.metadata.give_back_all()
    shop.run()
    assert shop.ending(image_id) == (State.PROCESSED, 1, None)


def test_under_a_held_clock_nothing_is_taken_and_nothing_is_found_to_be_gone(shop: Workshop) -> None:
    image_id = shop.admit()
    shop.clock.move(8 * 24 * 60 * MINUTE)
    shop.clock.hold()
    with pytest.raises(ClockHeld):
        shop.run()
    assert (shop.queue.depth(), image_id in shop.metadata.tables.images) == (1, True)


def test_a_jump_in_the_middle_of_a_run_that_is_set_right_costs_the_image_nothing(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mayfly.processing.verdicts._LOOK_AGAIN_EVERY", 0.001)
    image_id, born = shop.admit(), shop.clock.now()

    def set_right() -> None:
        shop.clock.set(born)
        shop.clock.confirm()

    def jump() -> None:
        shop.clock.hold()
        shop.clock.set(Ms(born + 8 * 24 * 60 * MINUTE))
        threading.Timer(0.05, set_right).start()

    shop.sandbox.meanwhile = jump
    shop.run()
    assert shop.ending(image_id)[:2] == (State.RECEIVED, 0)
    shop.sandbox.meanwhile = lambda: None
    shop.clock.move(10_000)
    assert shop.run()
    assert shop.ending(image_id) == (State.PROCESSED, 1, None)
    assert shop.standing() == shop.all_of(image_id)


def run_out_of_descriptors() -> None:
    raise OSError("no more descriptors")


def test_a_fault_without_a_name_costs_an_attempt_and_ends_in_failed(shop: Workshop) -> None:
    image_id = shop.admit()
    for _ in range(ATTEMPTS):
        shop.sandbox.meanwhile = run_out_of_descriptors
        shop.run()
        shop.clock.move(120_000)
    assert shop.ending(image_id) == (State.FAILED, ATTEMPTS, "fault-oserror")
    assert shop.buried() == [(image_id, "fault-oserror", ATTEMPTS)]


def test_leases_that_run_out_again_and_again_end_in_failed(shop: Workshop) -> None:
    image_id = shop.admit()
    for _ in range(ATTEMPTS):
        shop.metadata.claim(image_id, LEASE_MS)
        shop.clock.move(LEASE_MS + 1)
    shop.run()
    assert shop.ending(image_id)[::2] == (State.FAILED, "attempts-spent")


def test_an_image_that_dies_while_it_is_worked_on_leaves_nothing(shop: Workshop) -> None:
    image_id = shop.admit()

    def die() -> None:
        shop.end_minute_of(image_id)
        shop.keys.destroy([image_id.expiry_minute])
        shop.objects.purge(image_id.expiry_minute)
        shop.metadata.purge(image_id.expiry_minute)

    shop.sandbox.meanwhile = die
    shop.run()
    assert (shop.standing(), shop.queue.depth(), shop.buried()) == (set(), 0, [])
    assert shop.metadata.records(image_id.expiry_minute) == []


def test_an_image_erased_while_it_is_worked_on_leaves_nothing(shop: Workshop) -> None:
    image_id = shop.admit()
    erasure = Erasure(shop.objects, shop.metadata, shop.keys, shop.told)
    shop.sandbox.meanwhile = lambda: erasure.erase(image_id)
    shop.run()
    assert (shop.standing(), shop.queue.depth()) == (set(), 0)


def test_renditions_stored_before_an_erasure_was_noticed_are_taken_away(shop: Workshop) -> None:
    image_id = shop.admit()
    metadata = Failing(shop.metadata, at=1, fault=NotFound("erased just now"), names=frozenset({"settle"}))
    shop.run(metadata=metadata)
    assert shop.standing() == {Address.original(image_id).file_name}
    assert shop.queue.depth() == 0


def test_whoever_lost_the_lease_changes_nothing_of_the_winners(shop: Workshop) -> None:
    image_id = shop.admit()

    def be_overtaken() -> None:
        shop.sandbox.meanwhile = lambda: None
        shop.clock.move(LEASE_MS)
        assert shop.run()

    shop.sandbox.meanwhile = be_overtaken
    shop.run()
    assert shop.ending(image_id) == (State.PROCESSED, 2, None)
    assert shop.told.events == ["processed", "lease_lost"]
    assert shop.standing() == shop.all_of(image_id)


def test_a_job_whose_image_somebody_holds_is_kept_for_later(shop: Workshop) -> None:
    image_id = shop.admit()
    shop.metadata.claim(image_id, 2 * LEASE_MS)
    assert shop.run()
    assert (shop.queue.depth(), shop.sandbox.bodies) == (1, [])


def test_a_job_delivered_again_after_the_work_is_done_is_dropped(shop: Workshop) -> None:
    image_id = shop.admit()
    with pytest.raises(Crash):
        shop.run(queue=Failing(shop.queue, at=1, names=frozenset({"delete"})))
    shop.clock.move(LEASE_MS)
    shop.run()
    assert shop.ending(image_id) == (State.PROCESSED, 1, None)
    assert (shop.queue.depth(), len(shop.sandbox.bodies)) == (0, 1)


def test_a_job_whose_image_is_gone_is_dropped(shop: Workshop) -> None:
    image_id = shop.admit()
    del shop.metadata.tables.images[image_id]
    shop.run()
    assert shop.queue.depth() == 0


def test_a_failure_cut_off_before_its_burial_is_buried_at_the_next_delivery(shop: Workshop) -> None:
    image_id = shop.admit()
    shop.objects.delete(Address.original(image_id))
    with pytest.raises(Crash):
        shop.run(queue=Failing(shop.queue, at=1, names=frozenset({"bury"})))
    assert shop.buried() == []
    shop.clock.move(LEASE_MS)
    shop.run()
    assert shop.buried() == [(image_id, "original-missing", 1)]
    assert shop.queue.depth() == 0


def test_a_retry_that_comes_first_is_not_buried(shop: Workshop) -> None:
    image_id = shop.admit()
    stale = shop.queue.receive(1, LEASE_MS, 0)[0]
    row = shop.metadata.tables.images[image_id]
    failed = replace(row.record, state=State.FAILED, reason="worker-died")
    row.record = failed
    shop.metadata.reopen(image_id, Job(image_id), frozenset({State.FAILED}))
    row.record = failed
    shop.processing().handle(stale)
    assert (shop.buried(), shop.queue.depth()) == ([], 1)


STEPS = [("metadata", 1), ("metadata", 2), ("queue", 1), ("queue", 2), *(("objects", step) for step in (1, 2, 3))]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("port", "step"), STEPS)
def test_a_crash_at_any_step_ends_as_if_there_had_been_none(shop: Workshop, port: str, step: int, after: bool) -> None:
    image_id = shop.admit()
    with pytest.raises(Crash):
        shop.run(**{port: Failing(getattr(shop, port), at=step, after=after)})
    shop.metadata.give_back_all()
    shop.run()
    assert shop.ending(image_id) == (State.PROCESSED, 1, None)
    # A write that was cut off stays unfinished until a reconcile.
    finished = {name for name in shop.standing() if not name.endswith(" unfinished")}
    assert (shop.queue.depth(), finished) == (0, shop.all_of(image_id))
