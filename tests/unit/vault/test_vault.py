"""The vault over stores in memory: what may be opened, until when, and where."""

from dataclasses import dataclass, replace

import pytest

from mayfly.model.address import Address
from mayfly.model.errors import AlreadyExists, Erased, Expired, KeyNotMade, ObjectMissing, Unopenable
from mayfly.model.identity import ImageId
from mayfly.model.image import Personal
from mayfly.model.instant import MINUTE, Ms
from mayfly.model.retention import Retention
from mayfly.ports.object_store import ObjectStore
from mayfly.vault.segments import HEADER_BYTES, SEALED_SEGMENT_BYTES, SEGMENT_BYTES, sealed_size
from support.house import LONGEST_KEYS, START, House

PERSONAL = Personal(sha256="ab" * 32, file_name="hölle.jpg", uploader="somebody", labels={"customer": "7"})
BODY = bytes(range(256)) * 1_024
"""Four segments."""


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def address(house: House) -> Address:
    return Address.original(ImageId.new(START, Retention(60)))


def read(house: House, address: Address, start: int = 0, stop: int | None = None) -> bytes:
    reader = house.vault.open(address)
    try:
        return b"".join(reader.chunks(start, stop))
    finally:
        reader.close()


def stored(objects: ObjectStore, address: Address) -> bytes:
    reader = objects.open(address)
    return reader.read(0, reader.size)


def store(house: House, address: Address, sealed: bytes) -> None:
    """Put these very bytes into the store, past the vault."""
    writer = house.objects.create(address, replace=True)
    writer.write(sealed)
    writer.commit()


@pytest.mark.parametrize("size", [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, len(BODY)])
@pytest.mark.parametrize("piece", [1_000, SEGMENT_BYTES, 3 * SEGMENT_BYTES])
def test_what_streams_in_comes_out(house: House, address: Address, size: int, piece: int) -> None:
    writer = house.vault.create(address)
    for start in range(0, size, piece):
        writer.write(memoryview(BODY)[start : min(size, start + piece)])
    assert writer.size == size
    writer.commit()
    reader = house.vault.open(address)
    assert reader.size == size
    assert b"".join(reader.chunks()) == BODY[:size]
    room = bytearray(size)
    reader.read_into(memoryview(room))
    assert room == BODY[:size]
    assert len(stored(house.objects, address)) == sealed_size(size)


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, 1),
        (0, SEGMENT_BYTES),
        (SEGMENT_BYTES - 1, SEGMENT_BYTES + 1),
        (SEGMENT_BYTES, 2 * SEGMENT_BYTES),
        (10, 3 * SEGMENT_BYTES + 10),
        (len(BODY) - 1, len(BODY)),
        (len(BODY) - 1, len(BODY) + 1_000),
        (100, 100),
    ],
)
def test_a_range_opens_by_itself(house: House, address: Address, start: int, stop: int) -> None:
    house.put(address, BODY)
    assert read(house, address, start, stop) == BODY[start:stop]


def test_a_range_is_opened_though_another_segment_is_broken(house: House, address: Address) -> None:
    house.put(address, BODY)
    sealed = bytearray(stored(house.objects, address))
    sealed[HEADER_BYTES + SEALED_SEGMENT_BYTES] ^= 1
    store(house, address, bytes(sealed))
    assert read(house, address, 0, SEGMENT_BYTES) == BODY[:SEGMENT_BYTES]
    assert read(house, address, 2 * SEGMENT_BYTES) == BODY[2 * SEGMENT_BYTES :]
    with pytest.raises(Unopenable):
        read(house, address, SEGMENT_BYTES, SEGMENT_BYTES + 1)


def test_sealed_bytes_at_another_address_do_not_open(house: House, address: Address) -> None:
    house.put(address, BODY)
    sealed = stored(house.objects, address)
    for elsewhere in (Address.rendition(address.image_id, "thumb"), replace(address, image_id=_sibling(address))):
        store(house, elsewhere, sealed)
        with pytest.raises(Unopenable):
            read(house, elsewhere)


def _sibling(address: Address) -> ImageId:
    """Another image that dies in the same minute, under the same key."""
    sibling = ImageId.new(START, Retention(60))
    assert sibling.expiry_minute == address.image_id.expiry_minute
    return sibling


def test_what_is_none_of_ours_is_refused_as_it_is_opened(house: House, address: Address) -> None:
    for strange in (b"", b"not sealed", b"MFS9" + bytes(sealed_size(5) - 4)):
        store(house, address, strange)
        with pytest.raises(Unopenable):
            house.vault.open(address)


def test_nothing_stands_where_nothing_was_committed(house: House, address: Address) -> None:
    writer = house.vault.create(address)
    writer.write(BODY)
    with pytest.raises(ObjectMissing):
        house.vault.open(address)
    writer.abort()
    assert house.standing() == set()


def test_a_second_write_is_refused_unless_it_replaces(house: House, address: Address) -> None:
    house.put(address, b"first")
    writer = house.vault.create(address)
    writer.write(b"second")
    with pytest.raises(AlreadyExists):
        writer.commit()
    assert read(house, address) == b"first"
    house.put(address, b"third")
    assert read(house, address) == b"third"


def test_a_commit_past_the_second_leaves_nothing(house: House, address: Address) -> None:
    writer = house.vault.create(address)
    writer.write(BODY)
    house.clock.set(address.image_id.expires_at)
    with pytest.raises(Expired):
        writer.commit()
    assert house.standing() == set()


def test_reading_is_cut_off_between_two_segments_at_the_second(house: House, address: Address) -> None:
    house.put(address, BODY)
    house.clock.set(Ms(address.image_id.expires_at - 1))
    chunks = house.vault.open(address).chunks()
    assert next(chunks) == BODY[:SEGMENT_BYTES]
    house.clock.move(1)
    with pytest.raises(Expired):
        next(chunks)


def test_reading_is_cut_off_between_two_segments_by_an_erasure(house: House, address: Address) -> None:
    house.put(address, BODY)
    chunks = house.vault.open(address).chunks()
    assert next(chunks) == BODY[:SEGMENT_BYTES]
    house.keys.remember_erased(address.image_id)
    with pytest.raises(Erased):
        next(chunks)


@dataclass(frozen=True)
class _Doors:
    """Every way into the vault for one image."""

    house: House
    address: Address
    sealed: bytes

    def refuse(self, fault: type[Exception]) -> None:
        vault, image_id = self.house.vault, self.address.image_id
        for door in (
            lambda: vault.refuse_gone(image_id),
            lambda: vault.open(self.address),
            lambda: vault.create(self.address),
            lambda: vault.open_personal(image_id, self.sealed),
        ):
            with pytest.raises(fault):
                door()


@pytest.fixture
def doors(house: House, address: Address) -> _Doors:
    house.put(address, BODY)
    return _Doors(house, address, house.vault.seal_personal(address.image_id, PERSONAL))


def test_no_door_opens_from_the_second_on_whatever_the_stores_hold(doors: _Doors) -> None:
    doors.house.clock.set(doors.address.image_id.expires_at)
    assert doors.house.keys.key(doors.address.image_id.expiry_minute)
    doors.refuse(Expired)


def test_no_door_opens_for_an_erased_image(doors: _Doors) -> None:
    doors.house.keys.remember_erased(doors.address.image_id)
    doors.refuse(Erased)


def test_a_key_that_died_ahead_of_the_clock_counts_as_expired(doors: _Doors) -> None:
    doors.house.keys.destroy([doors.address.image_id.expiry_minute])
    vault, image_id = doors.house.vault, doors.address.image_id
    with pytest.raises(Expired):
        vault.open(doors.address)
    with pytest.raises(Expired):
        vault.create(doors.address)
    with pytest.raises(Expired):
        vault.open_personal(image_id, doors.sealed)


def test_nothing_is_sealed_in_a_minute_that_has_no_key_yet(house: House) -> None:
    image_id = ImageId.new(Ms(START + MINUTE), Retention(LONGEST_KEYS))
    with pytest.raises(KeyNotMade):
        house.vault.create(Address.original(image_id))
    assert house.standing() == set()


def test_personal_fields_come_back_as_they_were(house: House, address: Address) -> None:
    sealed = house.vault.seal_personal(address.image_id, PERSONAL)
    assert house.vault.open_personal(address.image_id, sealed) == PERSONAL
    for told in (PERSONAL.sha256, "hölle", "somebody", "customer"):
        assert told.encode() not in sealed


def test_two_seals_of_the_same_personal_fields_share_nothing(house: House, address: Address) -> None:
    one, other = (house.vault.seal_personal(address.image_id, PERSONAL) for _ in range(2))
    assert one[4:HEADER_BYTES] != other[4:HEADER_BYTES]
    assert one[HEADER_BYTES:] != other[HEADER_BYTES:]


def test_personal_fields_are_bound_to_their_record(house: House, address: Address) -> None:
    sealed = house.vault.seal_personal(address.image_id, PERSONAL)
    with pytest.raises(Unopenable):
        house.vault.open_personal(_sibling(address), sealed)


@pytest.mark.parametrize("place", [0, 4, HEADER_BYTES - 1, HEADER_BYTES, -1])
def test_altered_or_cut_personal_fields_are_refused(house: House, address: Address, place: int) -> None:
    sealed = bytearray(house.vault.seal_personal(address.image_id, PERSONAL))
    sealed[place] ^= 1
    with pytest.raises(Unopenable):
        house.vault.open_personal(address.image_id, bytes(sealed))
    with pytest.raises(Unopenable):
        house.vault.open_personal(address.image_id, bytes(sealed[:-1]))
