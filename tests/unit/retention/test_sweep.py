"""The sweep: what is due goes, in its order, whatever cuts it off."""

from typing import Any

import pytest

from mayfly.model.errors import ClockHeld, KeyDestroyed, StorageFull, Unavailable
from mayfly.model.image import Source
from mayfly.model.instant import MINUTE, SECOND, Minute, Ms, minute_end, minute_of
from mayfly.ports.metadata_store import RecordsRemoved
from mayfly.ports.object_store import Removed
from mayfly.retention.sweep import Sweep
from support.house import Crash, Failing, House

PORTS = ("objects", "metadata", "keys")


@pytest.fixture
def house() -> House:
    return House()


def sweep_of(house: House, **instead: Any) -> Sweep:
    ports = {name: instead.get(name, getattr(house, name)) for name in PORTS}
    return Sweep(**ports, clock=house.clock, journal=house.told)


def test_what_is_due_goes_and_what_lives_stays(house: House) -> None:
    dying = [house.admit_processed(minutes=5), house.admit_processed(minutes=5, source=Source.KAFKA)]
    living = house.admit_processed(minutes=7)
    house.end_minute_of(dying[0])
    run = sweep_of(house).run()

    minute = dying[0].expiry_minute
    assert (run.through, [swept.minute for swept in run.swept], run.unverified) == (minute, [minute], ())
    assert run.keys == minute - minute_of(dying[0].birth) + 1
    assert run.swept[0].records == RecordsRemoved(http=1, kafka=1, jobs=0)
    assert (run.swept[0].objects.originals, run.swept[0].objects.renditions, run.swept[0].lag_ms) == (2, 2, 0)
    assert house.metadata.records(minute) == []
    assert house.metadata.get(living).id == living
    assert len(house.standing()) == 2
    with pytest.raises(KeyDestroyed):
        house.keys.key(minute)
    assert house.keys.key(living.expiry_minute)


def test_nothing_dies_before_its_minute_has_ended(house: House) -> None:
    image_id = house.admit_processed(minutes=5)
    house.clock.set(Ms(minute_end(image_id.expiry_minute) - 1))
    run = sweep_of(house).run()
    assert (run.through, run.swept) == (image_id.expiry_minute - 1, ())
    assert len(house.standing()) == 2
    assert house.keys.key(image_id.expiry_minute)


def test_minutes_that_passed_while_nobody_swept_go_in_one_run(house: House) -> None:
    ids = [house.admit_processed(minutes=minutes) for minutes in (3, 10, 40)]
    house.end_minute_of(ids[-1])
    run = sweep_of(house).run()
    assert [swept.minute for swept in run.swept] == [image_id.expiry_minute for image_id in ids]
    assert [swept.lag_ms for swept in run.swept] == [37 * MINUTE, 30 * MINUTE, 0]
    assert house.standing() == set()
    assert minute_of(house.clock.now()) == min(house.keys.live())


def test_a_second_run_finds_nothing(house: House) -> None:
    house.end_minute_of(house.admit_processed(minutes=5))
    sweep_of(house).run()
    run = sweep_of(house).run()
    assert (run.keys, run.swept) == (0, ())


def test_objects_without_a_record_and_jobs_without_an_image_go_too(house: House) -> None:
    orphan, job_only = house.admit_processed(minutes=5), house.admit(minutes=5)
    del house.metadata.tables.images[orphan]
    del house.metadata.tables.images[job_only]
    house.end_minute_of(orphan)
    run = sweep_of(house).run()
    assert (run.swept[0].objects.originals, run.swept[0].records) == (2, RecordsRemoved(jobs=1))
    assert (house.standing(), house.queue.depth(), run.unverified) == (set(), 0, ())


def test_the_memory_of_an_erasure_dies_with_its_minute(house: House) -> None:
    image_id = house.admit_processed(minutes=5)
    house.keys.remember_erased(image_id)
    house.end_minute_of(image_id)
    sweep_of(house).run()
    assert not house.keys.is_erased(image_id)


def test_a_held_clock_destroys_nothing(house: House) -> None:
    image_id = house.admit_processed(minutes=5)
    house.clock.hold()
    house.end_minute_of(image_id)
    with pytest.raises(ClockHeld):
        sweep_of(house).run()
    assert len(house.standing()) == 2
    assert len(house.metadata.records(image_id.expiry_minute)) == 1
    assert image_id.expiry_minute in house.keys.live()
    house.clock.confirm()
    assert sweep_of(house).run().swept


def test_the_key_dies_before_the_first_byte_is_looked_for(house: House) -> None:
    image_id = house.admit_processed(minutes=5)
    house.end_minute_of(image_id)
    with pytest.raises(Crash):
        sweep_of(house, objects=Failing(house.objects, at=1)).run()
    assert image_id.expiry_minute not in house.keys.live()


def test_a_full_disk_delays_records_but_neither_keys_nor_bytes(house: House) -> None:
    image_id = house.admit_processed(minutes=5)
    house.end_minute_of(image_id)
    full = Failing(house.metadata, at=1, fault=StorageFull("full"), names=frozenset({"purge"}))
    run = sweep_of(house, metadata=full).run()
    assert (house.standing(), image_id.expiry_minute in house.keys.live()) == (set(), False)
    assert [swept.verified_at for swept in run.unverified] == [None]
    assert house.told.events == ["purge_delayed", "purge_unverified"]
    again = sweep_of(house).run()
    assert (again.swept[0].records.http, again.unverified) == (1, ())


def test_one_minute_that_cannot_be_purged_keeps_no_other_waiting(house: House) -> None:
    stuck, later = house.admit_processed(minutes=5), house.admit_processed(minutes=7)
    house.end_minute_of(later)
    broken = Failing(house.objects, at=1, fault=PermissionError("not yours"), names=frozenset({"purge"}))
    run = sweep_of(house, objects=broken).run()
    assert [swept.minute for swept in run.unverified] == [stuck.expiry_minute]
    assert {name.partition(".")[0] for name in house.standing()} == {str(stuck)}
    assert stuck.expiry_minute not in house.keys.live()
    assert sweep_of(house).run().unverified == ()


def test_keys_of_minutes_that_end_during_a_long_sweep_do_not_wait_for_it(house: House) -> None:
    first, second, third = (house.admit_processed(minutes=minutes) for minutes in (5, 6, 8))
    house.end_minute_of(second)
    alive_at: list[bool] = []

    class Slow(Failing):
        """Its first purge takes three minutes."""

        def purge(self, minute: Minute) -> Removed:
            if minute == first.expiry_minute:
                house.clock.move(3 * MINUTE)
            else:
                alive_at.append(third.expiry_minute in house.keys.live())
            removed: Removed = house.objects.purge(minute)
            return removed

    sweep_of(house, objects=Slow(house.objects, at=0)).run()
    assert alive_at == [False]


def test_a_jump_between_two_looks_at_the_clock_destroys_nothing(house: House) -> None:
    house.admit_processed(minutes=5)
    before = house.keys.live()

    class Jumping(Failing):
        """Wall time jumps a week whenever it has been looked at, and is held."""

        def __getattr__(self, name: str) -> Any:
            method = getattr(house.clock, name)

            def look() -> Any:
                found = method()
                house.clock.move(7 * 24 * 60 * MINUTE)
                house.clock.hold()
                return found

            return look

    sweep = Sweep(house.objects, house.metadata, house.keys, Jumping(house.clock, at=0), house.told)
    with pytest.raises(ClockHeld):
        sweep.run()
    assert house.keys.live() == before


def test_what_comes_to_stand_after_the_purge_is_not_called_verified(house: House) -> None:
    image_id = house.admit_processed(minutes=5)
    house.end_minute_of(image_id)

    class Leaky(Failing):
        """Its purge removes nothing."""

        def purge(self, minute: Minute) -> Removed:
            return Removed()

    run = sweep_of(house, objects=Leaky(house.objects, at=0)).run()
    assert [swept.lag_ms for swept in run.unverified] == [None]
    assert sweep_of(house).run().unverified == ()


def test_a_scrub_that_was_put_off_is_made_up_for_by_the_next_run(house: House) -> None:
    house.end_minute_of(house.admit_processed(minutes=5))
    scrubbed = Failing(house.metadata, at=1, fault=Unavailable("busy"), names=frozenset({"scrub"}))
    sweep = sweep_of(house, metadata=scrubbed)
    assert sweep.run().unverified == ()
    assert "scrub_delayed" in house.told.events
    house.clock.move(60 * SECOND)
    assert sweep.run().swept == ()
    assert scrubbed.calls == 2


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("port", "step"),
    [
        *(("keys", step) for step in (1, 2)),
        *(("objects", step) for step in range(1, 5)),
        *(("metadata", step) for step in range(1, 6)),
    ],
)
def test_a_crash_at_any_step_is_made_up_for_by_the_next_run(house: House, port: str, step: int, after: bool) -> None:
    dying = [house.admit_processed(minutes=5), house.admit(minutes=5), house.admit(minutes=7)]
    living = house.admit_processed(minutes=30)
    house.end_minute_of(dying[-1])
    with pytest.raises(Crash):
        sweep_of(house, **{port: Failing(getattr(house, port), at=step, after=after)}).run()
    run = sweep_of(house).run()
    assert run.unverified == ()
    assert {name.partition(".")[0] for name in house.standing()} == {str(living)}
    assert house.metadata.tables.images.keys() == {living}
    assert house.queue.depth() == 0
    assert min(house.keys.live()) == run.through + 1


def test_a_run_that_is_cancelled_destroys_all_keys_and_leaves_minutes_to_the_next(house: House) -> None:
    first, second = house.admit_processed(minutes=5), house.admit_processed(minutes=6)
    house.end_minute_of(second)
    asked = iter([False, True])
    run = sweep_of(house).run(lambda: next(asked))
    assert run.cut_short
    assert [swept.minute for swept in run.swept] == [first.expiry_minute]
    assert not {first.expiry_minute, second.expiry_minute} & set(house.keys.live())
    assert {name.partition(".")[0] for name in house.standing()} == {str(second)}
    again = sweep_of(house).run()
    assert (again.cut_short, house.standing()) == (False, set())
