"""The contract of `ports.object_store.ObjectStore`, for every adapter."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from mayfly.adapters.memory.clock import ManualClock
from mayfly.model.address import Address, Kind
from mayfly.model.errors import AlreadyExists, Expired, Gone, ObjectMissing
from mayfly.model.identity import ImageId
from mayfly.model.instant import Minute, Ms
from mayfly.model.retention import Retention
from mayfly.ports.object_store import ObjectReader, ObjectStore, Removed, StoredObject

if TYPE_CHECKING:
    from contracts.conftest import Race, Subject

NewId = Callable[..., ImageId]


@pytest.fixture
def new_id(clock: ManualClock) -> NewId:
    return lambda minutes=60: ImageId.new(clock.now(), Retention(minutes))


@pytest.fixture
def address(new_id: NewId) -> Address:
    return Address.original(new_id())


def put(objects: ObjectStore, address: Address, data: bytes, *, replace: bool = False) -> None:
    writer = objects.create(address, replace=replace)
    writer.write(data)
    writer.commit()


def content(objects: ObjectStore, address: Address) -> bytes:
    reader = objects.open(address)
    try:
        return reader.read(0, reader.size)
    finally:
        reader.close()


def stands(objects: ObjectStore, address: Address) -> bool:
    try:
        objects.open(address).close()
    except ObjectMissing:
        return False
    return True


def finished(objects: ObjectStore, address: Address) -> list[StoredObject]:
    return [found for found in objects.listing(address.minute) if not found.unfinished]


def unfinished(objects: ObjectStore, address: Address) -> list[StoredObject]:
    return [found for found in objects.listing(address.minute) if found.unfinished]


class TestWriting:
    def test_what_was_committed_is_read_back(self, objects: ObjectStore, address: Address) -> None:
        put(objects, address, b"bytes")
        assert content(objects, address) == b"bytes"

    def test_pieces_are_appended_in_order(self, objects: ObjectStore, address: Address) -> None:
        writer = objects.create(address)
        for piece in (b"one,", b"", b"two,", b"three" * 50_000):
            writer.write(piece)
        writer.commit()
        assert content(objects, address) == b"one,two," + b"three" * 50_000

    def test_an_object_may_be_empty(self, objects: ObjectStore, address: Address) -> None:
        objects.create(address).commit()
        assert content(objects, address) == b""
        assert objects.listing(address.minute) == [StoredObject(address, 0)]

    def test_nothing_is_visible_before_the_commit(self, objects: ObjectStore, address: Address) -> None:
        writer = objects.create(address)
        writer.write(b"half")
        with pytest.raises(ObjectMissing):
            objects.open(address)
        assert finished(objects, address) == []
        writer.commit()
        assert stands(objects, address)

    def test_a_committed_object_outlives_a_restart(self, stored: "Subject[ObjectStore]", address: Address) -> None:
        put(stored.opened, address, b"bytes")
        assert content(stored.reopen(), address) == b"bytes"

    def test_kinds_names_and_images_do_not_meet(self, objects: ObjectStore, new_id: NewId) -> None:
        one, other = new_id(), new_id()
        addresses = [
            Address.original(one),
            Address.rendition(one, "original"),
            Address.rendition(one, "thumb"),
            Address.rendition(one, "thumb-2"),
            Address.original(other),
        ]
        for number, address in enumerate(addresses):
            put(objects, address, str(number).encode())
        assert [content(objects, address) for address in addresses] == [b"0", b"1", b"2", b"3", b"4"]

    def test_a_second_write_is_refused_and_what_stood_there_stands(
        self, objects: ObjectStore, address: Address
    ) -> None:
        put(objects, address, b"first")
        with pytest.raises(AlreadyExists):
            put(objects, address, b"second")
        assert content(objects, address) == b"first"
        assert objects.listing(address.minute) == [StoredObject(address, 5)]

    def test_a_write_that_began_earlier_but_commits_later_is_the_second(
        self, objects: ObjectStore, address: Address
    ) -> None:
        slow = objects.create(address)
        slow.write(b"slow")
        put(objects, address, b"quick")
        with pytest.raises(AlreadyExists):
            slow.commit()
        assert content(objects, address) == b"quick"

    def test_replace_puts_the_new_in_the_place_of_the_old(
        self, stored: "Subject[ObjectStore]", address: Address
    ) -> None:
        put(stored.opened, address, b"first, and longer")
        put(stored.opened, address, b"second", replace=True)
        assert content(stored.opened, address) == b"second"
        assert content(stored.reopen(), address) == b"second"

    def test_replace_asks_for_no_predecessor(self, objects: ObjectStore, address: Address) -> None:
        put(objects, address, b"bytes", replace=True)
        assert content(objects, address) == b"bytes"

    def test_the_old_stands_until_its_replacement_is_committed(self, objects: ObjectStore, address: Address) -> None:
        put(objects, address, b"first")
        writer = objects.create(address, replace=True)
        writer.write(b"second")
        assert content(objects, address) == b"first"
        writer.abort()
        assert content(objects, address) == b"first"

    def test_of_racing_writes_to_one_address_exactly_one_is_kept(
        self, objects: ObjectStore, address: Address, race: "Race"
    ) -> None:
        outcomes = race(20, lambda number: put(objects, address, b"%d" % number * 1_000))
        winners = [number for number, outcome in enumerate(outcomes) if outcome is None]
        assert len(winners) == 1
        assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 19
        assert content(objects, address) == b"%d" % winners[0] * 1_000
        assert len(objects.listing(address.minute)) == 1

    def test_racing_replacements_leave_one_of_them_whole(
        self, objects: ObjectStore, address: Address, race: "Race"
    ) -> None:
        outcomes = race(20, lambda number: put(objects, address, b"%02d" % number * 1_000, replace=True))
        assert outcomes == [None] * 20
        assert content(objects, address) in {b"%02d" % number * 1_000 for number in range(20)}
        assert len(objects.listing(address.minute)) == 1

    def test_writes_to_many_addresses_at_once_all_arrive(
        self, objects: ObjectStore, new_id: NewId, race: "Race"
    ) -> None:
        addresses = [Address.original(new_id()) for _ in range(30)]
        race(30, lambda number: put(objects, addresses[number], addresses[number].image_id.raw))
        assert all(content(objects, address) == address.image_id.raw for address in addresses)


class TestAborting:
    def test_abort_leaves_nothing_behind(self, objects: ObjectStore, address: Address) -> None:
        writer = objects.create(address)
        writer.write(b"half")
        writer.abort()
        assert not stands(objects, address)
        assert objects.listing(address.minute) == []

    def test_abort_before_any_byte_and_abort_twice_are_no_errors(self, objects: ObjectStore, address: Address) -> None:
        writer = objects.create(address)
        writer.abort()
        writer.abort()
        assert objects.listing(address.minute) == []

    def test_abort_after_a_commit_does_nothing(self, objects: ObjectStore, address: Address) -> None:
        writer = objects.create(address)
        writer.write(b"bytes")
        writer.commit()
        writer.abort()
        assert content(objects, address) == b"bytes"

    def test_abort_after_a_refused_commit_leaves_what_stood_there(self, objects: ObjectStore, address: Address) -> None:
        put(objects, address, b"first")
        writer = objects.create(address)
        with pytest.raises(AlreadyExists):
            writer.commit()
        writer.abort()
        assert content(objects, address) == b"first"

    def test_abort_touches_no_other_write_to_the_same_address(self, objects: ObjectStore, address: Address) -> None:
        one, other = objects.create(address), objects.create(address)
        other.write(b"other")
        one.abort()
        other.commit()
        assert content(objects, address) == b"other"


class TestTheFence:
    def test_nothing_is_begun_at_an_address_that_is_due(
        self, objects: ObjectStore, address: Address, clock: ManualClock
    ) -> None:
        clock.set(address.image_id.expires_at)
        with pytest.raises(Expired):
            objects.create(address)
        with pytest.raises(Expired):
            objects.create(address, replace=True)
        assert objects.listing(address.minute) == []

    def test_the_last_millisecond_still_counts_as_life(
        self, objects: ObjectStore, address: Address, clock: ManualClock
    ) -> None:
        clock.set(Ms(address.image_id.expires_at - 1))
        put(objects, address, b"bytes")
        assert content(objects, address) == b"bytes"

    @pytest.mark.parametrize("replace", [False, True])
    def test_a_commit_after_expiry_leaves_nothing(
        self, objects: ObjectStore, address: Address, clock: ManualClock, replace: bool
    ) -> None:
        writer = objects.create(address, replace=replace)
        writer.write(b"late")
        clock.set(address.image_id.expires_at)
        with pytest.raises(Expired):
            writer.commit()
        assert not stands(objects, address)
        assert objects.listing(address.minute) == []

    @pytest.mark.parametrize("replace", [False, True])
    def test_a_commit_after_the_purge_of_its_minute_leaves_nothing(
        self, objects: ObjectStore, address: Address, clock: ManualClock, replace: bool
    ) -> None:
        writer = objects.create(address, replace=replace)
        writer.write(b"late")
        clock.set(address.image_id.expires_at)
        objects.purge(address.minute)
        writer.write(b", and more")
        with pytest.raises(Expired):
            writer.commit()
        writer.abort()
        assert not stands(objects, address)
        assert objects.listing(address.minute) == []
        assert objects.minutes() == []

    @pytest.mark.parametrize("replace", [False, True])
    def test_a_purge_ends_the_writes_under_way_even_by_a_clock_that_calls_them_alive(
        self, objects: ObjectStore, address: Address, replace: bool
    ) -> None:
        writer = objects.create(address, replace=replace)
        writer.write(b"late")
        objects.purge(address.minute)
        with pytest.raises(Expired):
            writer.commit()
        assert not stands(objects, address)
        assert objects.listing(address.minute) == []

    def test_writers_racing_with_purges_leave_nothing(
        self, objects: ObjectStore, new_id: NewId, clock: ManualClock, race: "Race"
    ) -> None:
        addresses = [Address.original(new_id(1)) for _ in range(16)]
        writers = [objects.create(address) for address in addresses]
        clock.set(addresses[0].image_id.expires_at)

        def act(number: int) -> object:
            if number >= len(writers):
                return objects.purge(addresses[0].minute)
            writers[number].write(b"late")
            writers[number].commit()
            return None

        outcomes = race(20, act)
        assert all(isinstance(outcome, Expired) for outcome in outcomes[:16])
        assert objects.listing(addresses[0].minute) == []
        assert not any(stands(objects, address) for address in addresses)


class TestReading:
    def test_a_missing_object_is_said_to_be_missing(self, objects: ObjectStore, address: Address) -> None:
        with pytest.raises(ObjectMissing):
            objects.open(address)

    def test_any_range_is_read_and_fewer_bytes_only_at_the_end(self, objects: ObjectStore, address: Address) -> None:
        put(objects, address, b"0123456789")
        reader = objects.open(address)
        assert reader.size == 10
        assert reader.read(2, 3) == b"234"
        assert reader.read(0, 10) == b"0123456789"
        assert reader.read(8, 100) == b"89"
        assert reader.read(10, 5) == b""
        assert reader.read(99, 5) == b""
        assert reader.read(0, 1) == b"0"
        reader.close()

    def test_the_store_itself_does_not_judge_expiry_when_reading(
        self, objects: ObjectStore, address: Address, clock: ManualClock
    ) -> None:
        put(objects, address, b"bytes")
        clock.set(address.image_id.expires_at)
        assert content(objects, address) == b"bytes"

    def test_an_open_object_that_is_purged_is_whole_or_missing(self, objects: ObjectStore, address: Address) -> None:
        put(objects, address, b"0123456789")
        reader = objects.open(address)
        assert reader.read(0, 5) == b"01234"
        objects.purge(address.minute)
        assert rest_of(reader) in (b"56789", None)
        reader.close()

    def test_an_open_object_that_is_replaced_never_mixes_old_and_new(
        self, objects: ObjectStore, address: Address
    ) -> None:
        put(objects, address, b"0123456789")
        reader = objects.open(address)
        put(objects, address, b"abcdefghij", replace=True)
        assert rest_of(reader) in (b"56789", None)
        reader.close()

    def test_readers_do_not_disturb_one_another(self, objects: ObjectStore, address: Address, race: "Race") -> None:
        data = bytes(range(256)) * 100
        put(objects, address, data)
        reader = objects.open(address)
        outcomes = race(20, lambda number: reader.read(number * 1_000, 1_000))
        assert outcomes == [data[number * 1_000 : (number + 1) * 1_000] for number in range(20)]
        reader.close()


def rest_of(reader: ObjectReader) -> bytes | None:
    try:
        return reader.read(5, 5)
    except ObjectMissing:
        return None


class TestDeleting:
    def test_a_deleted_object_is_gone_for_good(self, stored: "Subject[ObjectStore]", address: Address) -> None:
        put(stored.opened, address, b"bytes")
        stored.opened.delete(address)
        assert not stands(stored.opened, address)
        assert stored.opened.listing(address.minute) == []
        assert not stands(stored.reopen(), address)

    def test_every_version_goes(self, objects: ObjectStore, address: Address) -> None:
        put(objects, address, b"first")
        put(objects, address, b"second", replace=True)
        objects.delete(address)
        assert not stands(objects, address)

    def test_deleting_what_is_missing_is_no_error(self, objects: ObjectStore, address: Address) -> None:
        objects.delete(address)
        put(objects, address, b"bytes")
        objects.delete(address)
        objects.delete(address)
        assert not stands(objects, address)

    def test_the_others_stay(self, objects: ObjectStore, new_id: NewId) -> None:
        image_id = new_id()
        original, thumb = Address.original(image_id), Address.rendition(image_id, "thumb")
        put(objects, original, b"original")
        put(objects, thumb, b"thumb")
        objects.delete(original)
        assert content(objects, thumb) == b"thumb"

    def test_a_freed_address_may_be_written_again(self, objects: ObjectStore, address: Address) -> None:
        put(objects, address, b"first")
        objects.delete(address)
        put(objects, address, b"second")
        assert content(objects, address) == b"second"

    def test_discarding_a_finished_object_removes_it_and_repeats_harmlessly(
        self, objects: ObjectStore, address: Address
    ) -> None:
        put(objects, address, b"bytes")
        (found,) = objects.listing(address.minute)
        objects.discard(found)
        objects.discard(found)
        assert objects.listing(address.minute) == []
        assert not stands(objects, address)

    def test_discarding_an_unfinished_write_leaves_the_finished_object(
        self, objects: ObjectStore, address: Address
    ) -> None:
        put(objects, address, b"bytes")
        writer = objects.create(address, replace=True)
        writer.write(b"half")
        (found,) = unfinished(objects, address)
        objects.discard(found)
        objects.discard(found)
        assert objects.listing(address.minute) == [StoredObject(address, 5)]
        with pytest.raises(Gone):
            writer.commit()
        assert content(objects, address) == b"bytes"

    def test_discarding_an_unfinished_write_leaves_those_to_other_addresses(
        self, objects: ObjectStore, new_id: NewId
    ) -> None:
        one, other = Address.original(new_id()), Address.original(new_id())
        objects.create(one)
        writer = objects.create(other)
        objects.discard(StoredObject(one, 0, unfinished=True))
        assert [found.address for found in objects.listing(one.minute)] == [other]
        writer.commit()
        assert stands(objects, other)

    def test_discarding_a_finished_object_leaves_a_write_under_way(
        self, objects: ObjectStore, address: Address
    ) -> None:
        put(objects, address, b"first")
        writer = objects.create(address, replace=True)
        writer.write(b"second")
        (found,) = finished(objects, address)
        objects.discard(found)
        assert not stands(objects, address)
        writer.commit()
        assert content(objects, address) == b"second"


class TestListing:
    def test_an_empty_store_lists_nothing(self, objects: ObjectStore, address: Address) -> None:
        assert objects.minutes() == []
        assert objects.listing(address.minute) == []
        assert objects.strays() == []

    def test_minutes_are_listed_once_each_ascending(self, objects: ObjectStore, new_id: NewId) -> None:
        ids = [new_id(minutes) for minutes in (300, 5, 60, 5, 10_080)]
        for image_id in ids:
            put(objects, Address.original(image_id), b"o")
        assert objects.minutes() == sorted({image_id.expiry_minute for image_id in ids})
        every = objects.minutes()
        assert objects.minutes(every[0]) == every[:1]
        assert objects.minutes(Minute(every[0] - 1)) == []

    def test_a_minute_lists_all_its_objects_with_their_sizes_and_no_others(
        self, objects: ObjectStore, new_id: NewId
    ) -> None:
        one, other, elsewhere = new_id(), new_id(), new_id(61)
        expected = {
            StoredObject(Address.original(one), 1),
            StoredObject(Address.rendition(one, "thumb"), 2),
            StoredObject(Address.original(other), 3),
        }
        for found in expected:
            put(objects, found.address, bytes(found.size))
        put(objects, Address.original(elsewhere), b"elsewhere")
        listed = objects.listing(one.expiry_minute)
        assert len(listed) == 3
        assert set(listed) == expected

    def test_a_minute_under_which_nothing_stands_any_more_is_not_listed(
        self, objects: ObjectStore, new_id: NewId
    ) -> None:
        aborted, deleted = Address.original(new_id(5)), Address.original(new_id(6))
        objects.create(aborted).abort()
        put(objects, deleted, b"bytes")
        objects.delete(deleted)
        assert objects.minutes() == []
        put(objects, aborted, b"bytes")
        assert objects.minutes() == [aborted.minute]

    def test_an_unfinished_write_is_listed_as_such_and_so_is_its_minute(
        self, objects: ObjectStore, address: Address
    ) -> None:
        writer = objects.create(address)
        writer.write(b"half")
        assert [found.address for found in unfinished(objects, address)] == [address]
        assert objects.minutes() == [address.minute]
        assert objects.strays() == []
        writer.commit()
        assert objects.listing(address.minute) == [StoredObject(address, 4)]

    def test_an_unfinished_write_never_becomes_an_object_by_a_restart(
        self, stored: "Subject[ObjectStore]", address: Address
    ) -> None:
        stored.opened.create(address).write(b"half")
        reopened = stored.reopen()
        assert not stands(reopened, address)
        assert finished(reopened, address) == []

    def test_what_stands_at_addresses_of_ours_is_no_stray(self, objects: ObjectStore, new_id: NewId) -> None:
        image_id = new_id()
        put(objects, Address.original(image_id), b"o")
        put(objects, Address.rendition(image_id, "large"), b"r")
        assert objects.strays() == []


class TestPurging:
    def test_everything_under_the_minute_goes_and_nothing_else(
        self, stored: "Subject[ObjectStore]", new_id: NewId
    ) -> None:
        objects, dying, living = stored.opened, new_id(), new_id(61)
        for image_id in (dying, living):
            put(objects, Address.original(image_id), b"original")
            put(objects, Address.rendition(image_id, "thumb"), b"thumb")
        objects.purge(dying.expiry_minute)
        for view in (objects, stored.reopen()):
            assert view.listing(dying.expiry_minute) == []
            assert view.minutes() == [living.expiry_minute]
            assert not stands(view, Address.original(dying))
            assert len(view.listing(living.expiry_minute)) == 2

    def test_it_counts_what_it_removed_by_kind_and_bytes(self, objects: ObjectStore, new_id: NewId) -> None:
        one, other = new_id(), new_id()
        put(objects, Address.original(one), bytes(100))
        put(objects, Address.original(other), bytes(10))
        for name in ("thumb", "preview", "large"):
            put(objects, Address.rendition(one, name), bytes(1))
        assert objects.purge(one.expiry_minute) == Removed(originals=2, renditions=3, size=113)

    def test_unfinished_writes_go_too_and_count_as_what_they_were_to_become(
        self, objects: ObjectStore, new_id: NewId
    ) -> None:
        image_id = new_id()
        writers = [objects.create(Address.original(image_id)), objects.create(Address.rendition(image_id, "thumb"))]
        for writer in writers:
            writer.write(b"half")
        put(objects, Address.rendition(image_id, "large"), bytes(7))
        expected = Removed.of(objects.listing(image_id.expiry_minute))
        assert (expected.originals, expected.renditions) == (1, 2)
        assert objects.purge(image_id.expiry_minute) == expected
        assert objects.listing(image_id.expiry_minute) == []
        assert objects.minutes() == []

    def test_what_a_restart_left_unfinished_is_purged(self, stored: "Subject[ObjectStore]", address: Address) -> None:
        stored.opened.create(address).write(b"half")
        reopened = stored.reopen()
        reopened.purge(address.minute)
        assert reopened.listing(address.minute) == []
        assert reopened.minutes() == []

    def test_a_purge_repeats_harmlessly_and_then_counts_nothing(self, objects: ObjectStore, address: Address) -> None:
        put(objects, address, b"bytes")
        assert objects.purge(address.minute) == Removed(originals=1, size=5)
        assert objects.purge(address.minute) == Removed()

    def test_racing_purges_count_each_object_at_least_once(
        self, objects: ObjectStore, new_id: NewId, race: "Race"
    ) -> None:
        image_id = new_id()
        for name in ("a", "b", "c"):
            put(objects, Address(Kind.RENDITION, image_id, name), b"r")
        counted = race(8, lambda _: objects.purge(image_id.expiry_minute))
        assert all(isinstance(outcome, Removed) for outcome in counted)
        assert sum(outcome.renditions for outcome in counted if isinstance(outcome, Removed)) >= 3
        assert objects.listing(image_id.expiry_minute) == []
