"""Early erasure: remembered first, gone at once, never back."""

from typing import Any

import pytest

from mayfly.model.address import Address
from mayfly.model.errors import Erased, Expired, NotFound, StorageFull, Unavailable
from mayfly.model.identity import ImageId
from mayfly.model.retention import Retention
from mayfly.ports.metadata_store import Failed
from mayfly.retention.erase import Erasure
from support.house import Failing, House

LEASE_MS = 60_000


@pytest.fixture
def house() -> House:
    return House()


def erase(house: House, image_id: ImageId, **instead: Any) -> None:
    ports = {name: instead.get(name, getattr(house, name)) for name in ("objects", "metadata", "keys")}
    Erasure(**ports, journal=house.told).erase(image_id)


def test_an_erased_image_leaves_only_the_memory_of_its_erasure(house: House) -> None:
    image_id, other = house.admit_processed(), house.admit_processed()
    erase(house, image_id)
    assert house.keys.is_erased(image_id)
    assert {name.partition(".")[0] for name in house.standing()} == {str(other)}
    assert house.metadata.tables.images.keys() == {other}
    with pytest.raises(Erased):
        house.vault.refuse_gone(image_id)
    with pytest.raises(Erased):
        erase(house, image_id)


def test_its_job_and_unfinished_writes_go_too(house: House) -> None:
    image_id = house.admit()
    writer = house.vault.create(Address.rendition(image_id, "thumb"))
    writer.write(bytes(100_000))
    erase(house, image_id)
    assert (house.standing(), house.queue.depth()) == (set(), 0)
    with pytest.raises(Expired):
        writer.commit()
    assert house.standing() == set()


def test_a_worker_that_holds_it_can_settle_nothing(house: House) -> None:
    image_id = house.admit()
    claim = house.metadata.claim(image_id, LEASE_MS)
    erase(house, image_id)
    with pytest.raises(NotFound):
        house.metadata.settle(claim, Failed("late"))


def test_what_is_due_or_unknown_is_not_erased(house: House) -> None:
    image_id = house.admit_processed(minutes=5)
    house.end_minute_of(image_id)
    with pytest.raises(Expired):
        erase(house, image_id)
    with pytest.raises(NotFound):
        erase(house, ImageId.new(house.clock.now(), Retention(5)))
    assert not house.keys.is_erased(image_id)


def test_without_room_to_remember_it_nothing_is_erased(house: House) -> None:
    image_id = house.admit_processed()
    full = Failing(house.keys, at=1, fault=StorageFull("full"), names=frozenset({"remember_erased"}))
    with pytest.raises(StorageFull):
        erase(house, image_id, keys=full)
    assert len(house.standing()) == 2
    assert image_id in house.metadata.tables.images


def test_a_database_that_is_being_read_does_not_undo_an_erasure(house: House) -> None:
    image_id = house.admit_processed()
    erase(
        house, image_id, metadata=Failing(house.metadata, at=1, fault=Unavailable("busy"), names=frozenset({"scrub"}))
    )
    assert house.keys.is_erased(image_id)
    assert house.told.events == ["erased", "scrub_delayed"]
