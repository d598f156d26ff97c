"""Reconcile: orphans go, what is needed or in flight stays."""

from dataclasses import replace
from typing import Any

import pytest

from mayfly.model.address import Address
from mayfly.model.identity import ImageId
from mayfly.model.image import Source
from mayfly.model.lifecycle import State
from mayfly.retention.erase import Erasure
from mayfly.retention.reconcile import Reconcile, Reconciled
from support.house import Crash, Failing, House

LEASE_MS = 60_000


@pytest.fixture
def house() -> House:
    return House()


def reconcile(house: House, in_flight: frozenset[ImageId] = frozenset(), **instead: Any) -> Reconciled:
    ports = {name: instead.get(name, getattr(house, name)) for name in ("objects", "metadata", "keys")}
    return Reconcile(**ports, in_flight=lambda: in_flight, journal=house.told).run()


def forget(house: House, image_id: ImageId) -> None:
    """Take the record away and leave the objects: an upload that was cut off before it was admitted."""
    house.metadata.delete(image_id)


def set_state(house: House, image_id: ImageId, state: State) -> None:
    row = house.metadata.tables.images[image_id]
    row.record = replace(row.record, state=state)


def begin(house: House, image_id: ImageId, name: str) -> None:
    """A write that nobody ends."""
    house.vault.create(Address.rendition(image_id, name), replace=True).write(bytes(100_000))


def test_nothing_of_a_whole_house_is_touched(house: House) -> None:
    house.admit()
    house.admit_processed()
    before = house.standing()
    assert reconcile(house) == Reconciled(objects=3, orphans=0, erased=0, strays=0)
    assert (house.standing(), house.told.events) == (before, [])


def test_objects_without_a_record_go(house: House) -> None:
    orphan, kept = house.admit_processed(), house.admit_processed()
    forget(house, orphan)
    assert reconcile(house).orphans == 2
    assert {name.partition(".")[0] for name in house.standing()} == {str(kept)}
    assert reconcile(house).orphans == 0


def test_what_is_in_flight_is_nobodys_orphan(house: House) -> None:
    image_id = house.admit()
    forget(house, image_id)
    assert reconcile(house, frozenset({image_id})).orphans == 0
    assert len(house.standing()) == 1


def test_an_image_admitted_while_the_store_was_listed_is_no_orphan(house: House) -> None:
    image_id = house.admit()
    row = house.metadata.tables.images.pop(image_id)

    def admit_meanwhile() -> frozenset[ImageId]:
        house.metadata.tables.images[image_id] = row
        return frozenset()

    found = Reconcile(house.objects, house.metadata, house.keys, admit_meanwhile, house.told).run()
    assert found.orphans == 0


def test_a_rendition_that_the_record_does_not_name_goes(house: House) -> None:
    image_id = house.admit_processed()
    house.put(Address.rendition(image_id, "old"), b"of a recipe that was taken away")
    assert reconcile(house).orphans == 1
    assert Address.rendition(image_id, "thumb").file_name in house.standing()


@pytest.mark.parametrize("state", [State.RECEIVED, State.FAILED])
def test_renditions_of_an_attempt_that_came_to_nothing_go_and_the_original_stays(house: House, state: State) -> None:
    image_id = house.admit()
    house.put(Address.rendition(image_id, "thumb"), b"half of it")
    set_state(house, image_id, state)
    assert reconcile(house).orphans == 1
    assert house.standing() == {Address.original(image_id).file_name}


def test_what_a_worker_holds_is_left_alone(house: House) -> None:
    image_id = house.admit()
    house.metadata.claim(image_id, LEASE_MS)
    house.put(Address.rendition(image_id, "thumb"), b"just stored")
    begin(house, image_id, "large")
    before = house.standing()
    assert reconcile(house).orphans == 0
    assert house.standing() == before


def test_writes_that_nobody_ends_go(house: House) -> None:
    image_id = house.admit_processed()
    before = house.standing()
    begin(house, image_id, "thumb")
    assert house.standing() != before
    assert reconcile(house).orphans == 1
    assert house.standing() == before


def test_a_rendition_that_a_worker_is_about_to_write_anew_is_left(house: House) -> None:
    """Listed while nobody named it; claimed before it was looked at a second time."""
    image_id = house.admit()
    house.put(Address.rendition(image_id, "thumb"), b"thumb")

    class ClaimedMeanwhile(Failing):
        def __getattr__(self, name: str) -> Any:
            if name == "get":
                house.metadata.claim(image_id, 60_000)
            return getattr(self.port, name)

    before = house.standing()
    assert reconcile(house, metadata=ClaimedMeanwhile(house.metadata, at=0)).orphans == 0
    assert house.standing() == before


@pytest.mark.parametrize(("source", "kept"), [(Source.HTTP, 0), (Source.KAFKA, 1)])
def test_the_bytes_of_a_rejected_image_go_unless_they_are_kafkas(house: House, source: Source, kept: int) -> None:
    image_id = house.admit(source=source)
    set_state(house, image_id, State.REJECTED)
    reconcile(house)
    assert len(house.standing()) == kept


def test_an_erasure_that_was_cut_off_is_finished(house: House) -> None:
    image_id = house.admit_processed()
    house.keys.remember_erased(image_id)
    assert reconcile(house) == Reconciled(objects=2, orphans=2, erased=1, strays=0)
    assert (house.standing(), house.metadata.tables.images) == (set(), {})
    assert reconcile(house) == Reconciled(objects=0, orphans=0, erased=0, strays=0)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("port", "step"),
    [
        *(("keys", step) for step in range(1, 10)),
        *(("objects", step) for step in range(1, 6)),
        *(("metadata", step) for step in range(1, 6)),
    ],
)
def test_a_crash_at_any_step_is_made_up_for_by_the_next_run(house: House, port: str, step: int, after: bool) -> None:
    orphan, erased, kept = house.admit(), house.admit_processed(), house.admit_processed()
    forget(house, orphan)
    house.keys.remember_erased(erased)
    with pytest.raises(Crash):
        reconcile(house, frozenset(), **{port: Failing(getattr(house, port), at=step, after=after)})
    reconcile(house)
    assert {name.partition(".")[0] for name in house.standing()} == {str(kept)}
    assert house.metadata.tables.images.keys() == {kept}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("port", "step"), [("keys", 2), *(("objects", step) for step in (1, 2, 3)), ("metadata", 2)])
def test_an_erasure_cut_off_anywhere_is_finished_by_a_reconcile(
    house: House, port: str, step: int, after: bool
) -> None:
    image_id, kept = house.admit_processed(), house.admit_processed()
    ports = {name: getattr(house, name) for name in ("objects", "metadata", "keys")}
    ports[port] = Failing(ports[port], at=step, after=after)
    with pytest.raises(Crash):
        Erasure(**ports, journal=house.told).erase(image_id)
    reconcile(house)
    gone = house.keys.is_erased(image_id)
    assert gone is ((port, step, after) != ("keys", 2, False))
    assert (image_id in house.metadata.tables.images) is not gone
    assert len(house.standing()) == (2 if gone else 4)
    assert kept in house.metadata.tables.images
