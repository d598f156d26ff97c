"""Events in the database: a purge never fails for one, and stays about as fast with them."""

import sqlite3
from pathlib import Path

import pytest

from mayfly.adapters.local import formats, metadata_store
from mayfly.adapters.local.database import Database
from mayfly.adapters.local.event_log import SqliteEventLog
from mayfly.adapters.local.metadata_store import SqliteMetadataStore
from mayfly.adapters.memory.clock import ManualClock
from mayfly.model.errors import StorageFull
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import MINUTE, Ms
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention

START = Ms(29_833_334 * MINUTE)


def no_room(*_: object) -> None:
    raise StorageFull("the disk has no room left; free some, then try again")


def test_a_purge_without_room_for_its_events_is_made_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(tmp_path / "mayfly.db")
    try:
        metadata, log = SqliteMetadataStore(database, ManualClock(START)), SqliteEventLog(database)
        ids = [ImageId.new(START, Retention(5)) for _ in range(3)]
        for image_id in ids:
            metadata.admit(ImageRecord(image_id, State.RECEIVED, Source.HTTP, "image/png", 3, b""), Job(image_id))
        told = log.newest()
        monkeypatch.setattr(metadata_store, "tell_purged", no_room)
        assert metadata.delete(ids[0])
        assert metadata.purge(ids[1].expiry_minute).http == 2
        assert log.newest() == told
        assert metadata.due_minutes(ids[0].expiry_minute) == []
    finally:
        database.close()


def test_an_admission_without_room_for_its_event_is_refused_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(tmp_path / "mayfly.db")
    try:
        metadata = SqliteMetadataStore(database, ManualClock(START))
        image_id = ImageId.new(START, Retention(5))
        monkeypatch.setattr(metadata_store, "tell", no_room)
        with pytest.raises(StorageFull):
            metadata.admit(ImageRecord(image_id, State.RECEIVED, Source.HTTP, "image/png", 3, b""), Job(image_id))
        assert metadata.records(image_id.expiry_minute) == []
    finally:
        database.close()


def test_a_database_from_before_there_were_events_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "mayfly.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(formats._scripts()[1] + "PRAGMA user_version = 1;")
    connection.close()
    database = Database(path)
    try:
        assert SqliteEventLog(database).after(0) == []
    finally:
        database.close()
