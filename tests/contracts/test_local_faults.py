"""Local adapters on a disk that is full or holds what nobody expects there: what only they can meet."""

import errno
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mayfly.adapters.local import object_store as object_store_module
from mayfly.adapters.local.database import Database
from mayfly.adapters.local.metadata_store import SqliteMetadataStore
from mayfly.adapters.local.object_store import LocalObjectStore
from mayfly.adapters.memory.clock import ManualClock
from mayfly.model.address import Address
from mayfly.model.errors import ObjectMissing, StorageFull
from mayfly.model.identity import ImageId
from mayfly.model.instant import Ms, minute_end, minute_label
from mayfly.model.retention import Retention
from mayfly.ports.metadata_store import Reservation
from mayfly.ports.object_store import Removed

KEY = bytes(range(32))
FAR = Ms(2**47)


@pytest.fixture
def image_id(clock: ManualClock) -> ImageId:
    return ImageId.new(clock.now(), Retention(5))


@pytest.fixture
def address(image_id: ImageId) -> Address:
    return Address.original(image_id)


@pytest.fixture
def objects(tmp_path: Path, clock: ManualClock) -> LocalObjectStore:
    return LocalObjectStore(tmp_path / "objects", clock)


@pytest.fixture
def folder(tmp_path: Path, address: Address) -> Path:
    """Where the objects of the address's minute stand."""
    return tmp_path / "objects" / minute_label(address.minute)


def put(objects: LocalObjectStore, address: Address, data: bytes, *, replace: bool = False) -> None:
    writer = objects.create(address, replace=replace)
    writer.write(data)
    writer.commit()


def full(number: int) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


class TestFullDisk:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    @pytest.mark.parametrize(("call", "replace"), [("link", False), ("rename", True), ("fsync", False)])
    def test_a_commit_without_room_says_so_and_leaves_nothing(
        self,
        objects: LocalObjectStore,
        address: Address,
        monkeypatch: pytest.MonkeyPatch,
        call: str,
        replace: bool,
        number: int,
    ) -> None:
        writer = objects.create(address, replace=replace)
        writer.write(b"bytes")
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full(number))
            with pytest.raises(StorageFull):
                writer.commit()
        assert objects.listing(address.minute) == []
        put(objects, address, b"again")

    @pytest.mark.parametrize(
        ("number", "told"), [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, OSError)]
    )
    def test_a_name_that_could_not_be_made_durable_is_taken_back(
        self,
        objects: LocalObjectStore,
        address: Address,
        monkeypatch: pytest.MonkeyPatch,
        number: int,
        told: type[Exception],
    ) -> None:
        writer = objects.create(address)
        writer.write(b"bytes")
        with monkeypatch.context() as patch:
            patch.setattr(object_store_module, "sync_folder", full(number))
            with pytest.raises(told):
                writer.commit()
        assert objects.listing(address.minute) == []
        with pytest.raises(ObjectMissing):
            objects.open(address)
        put(objects, address, b"again")

    def test_a_replaced_object_stays_whole_where_its_name_could_not_be_made_durable(
        self, objects: LocalObjectStore, address: Address, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(objects, address, b"first")
        writer = objects.create(address, replace=True)
        writer.write(b"later")
        with monkeypatch.context() as patch:
            patch.setattr(object_store_module, "sync_folder", full(errno.ENOSPC))
            with pytest.raises(StorageFull):
                writer.commit()
        with closing(objects.open(address)) as reader:
            assert reader.read(0, reader.size) in (b"first", b"later")
        assert [found.unfinished for found in objects.listing(address.minute)] == [False]

    def test_a_minute_without_room_for_its_folder_is_refused(
        self, objects: LocalObjectStore, address: Address, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Path, "mkdir", full(errno.ENOSPC))
        with pytest.raises(StorageFull):
            objects.create(address)

    def test_a_reservation_is_released(
        self, tmp_path: Path, clock: ManualClock, image_id: ImageId, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with closing(Database(tmp_path / "mayfly.db")) as database:
            metadata, write, room = SqliteMetadataStore(database, clock), database.write, tmp_path / "reserve"
            metadata.reserve(Reservation(KEY, image_id), FAR)

            def write_if_room(work: Any, **options: Any) -> Any:
                if room.exists():
                    raise StorageFull("no room but the reserve's")
                return write(work, **options)

            with monkeypatch.context() as patch:
                patch.setattr(database, "write", write_if_room)
                metadata.release(Reservation(KEY, image_id))
            another = ImageId.new(clock.now(), Retention(5))
            assert metadata.reserve(Reservation(KEY, another), FAR) == another


class TestOddEntries:
    def test_a_purge_removes_what_nobody_expects_in_a_minute(
        self, objects: LocalObjectStore, address: Address, folder: Path
    ) -> None:
        put(objects, address, b"bytes")
        (folder / "0" / "deep").mkdir(parents=True)
        (folder / "0" / "deep" / "file").write_bytes(b"odd")
        (folder / "~link").symlink_to(folder.parent)
        assert objects.purge(address.minute) == Removed(originals=1, size=5)
        assert not folder.exists()
        assert folder.parent.exists()
        assert objects.minutes() == []

    def test_a_purge_goes_on_past_what_it_cannot_remove_and_its_minute_still_shows(
        self, objects: LocalObjectStore, image_id: ImageId, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stuck = Address.rendition(image_id, "thumb")
        for address in (Address.original(image_id), stuck, Address.rendition(image_id, "large")):
            put(objects, address, b"bytes")
        unlink = os.unlink

        def unlink_others(path: Any, **options: Any) -> None:
            if os.fspath(path).endswith(stuck.file_name):
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            unlink(path, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", unlink_others)
            assert objects.purge(stuck.minute) == Removed(originals=1, renditions=1, size=10)
        assert [found.address for found in objects.listing(stuck.minute)] == [stuck]
        assert objects.minutes() == [stuck.minute]
        assert objects.purge(stuck.minute) == Removed(renditions=1, size=5)
        assert objects.minutes() == []

    def test_a_minute_in_which_something_odd_stands_shows(
        self, objects: LocalObjectStore, address: Address, folder: Path
    ) -> None:
        (folder / "odd").mkdir(parents=True)
        assert objects.listing(address.minute) == []
        assert objects.minutes() == [address.minute]

    def test_what_stands_in_the_place_of_a_minutes_folder_shows_and_is_purged(
        self, objects: LocalObjectStore, address: Address, folder: Path
    ) -> None:
        folder.write_bytes(b"odd")
        assert objects.minutes() == [address.minute]
        assert objects.listing(address.minute) == []
        assert objects.strays() == [folder.name]
        objects.purge(address.minute)
        assert objects.minutes() == []
        assert not folder.is_file()

    def test_the_empty_folder_of_a_minute_that_is_due_goes(
        self, objects: LocalObjectStore, address: Address, folder: Path, clock: ManualClock
    ) -> None:
        objects.create(address).abort()
        assert objects.minutes() == []
        clock.set(minute_end(address.minute))
        assert objects.minutes() == []
        assert not folder.exists()


def test_a_store_that_never_purges_does_not_remember_every_folder_for_ever(
    tmp_path: Path, clock: ManualClock, objects: LocalObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(object_store_module, "_MOST_REMEMBERED", 2)
    monkeypatch.setattr(object_store_module, "sync_folder", synced.append)

    def store(minutes: int) -> bool:
        """Whether a minute's folder has had its name made durable for it."""
        synced.clear()
        put(objects, Address.original(ImageId.new(clock.now(), Retention(minutes))), b"bytes")
        return tmp_path / "objects" in synced

    assert [store(minutes) for minutes in (5, 6, 5, 7, 7, 5)] == [True, True, False, True, False, True]
