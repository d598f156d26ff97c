"""What a migration makes of older rows."""

import sqlite3
from pathlib import Path

import pytest

from mayfly.adapters.local import formats
from mayfly.adapters.local.database import Database
from mayfly.adapters.local.dead_letters import SqliteDeadLetters
from mayfly.adapters.memory.clock import ManualClock
from mayfly.model.identity import ImageId
from mayfly.model.instant import MINUTE, Ms
from mayfly.model.retention import Retention
from mayfly.model.stream import Letter
from mayfly.ports.dead_letters import LettersWanted

BIRTH = Ms(29_833_334 * MINUTE)


def test_an_image_that_failed_under_format_3_has_its_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = formats._scripts()
    image_id = ImageId.compose(BIRTH, Retention(60), 0xABC)
    with sqlite3.connect(tmp_path / "mayfly.db", isolation_level=None) as connection:
        monkeypatch.setattr(formats, "_scripts", lambda: {number: scripts[number] for number in (1, 2, 3)})
        formats.migrate(connection)
        connection.execute(
            "INSERT INTO images (id, minute, expires_at, state, source, media_type, size, sealed, labels, attempts,"
            " reason, renditions) VALUES (?, ?, ?, 'failed', 'http', 'image/png', 3, '', '{}', 5, 'worker-died', '[]')",
            (image_id.raw, image_id.expiry_minute, image_id.expires_at),
        )
        connection.execute(
            "INSERT INTO dead_letters (image_id, minute, reason, attempts, died_at) VALUES (?, ?, 'worker-died', 5, ?)",
            (image_id.raw, image_id.expiry_minute, BIRTH + 9),
        )
    connection.close()
    monkeypatch.setattr(formats, "_scripts", lambda: scripts)
    database = Database(tmp_path / "mayfly.db")
    letters = SqliteDeadLetters(database, ManualClock(BIRTH)).letters(LettersWanted())
    database.close()
    minute = image_id.expiry_minute
    assert letters == [Letter(str(image_id), None, image_id, "worker-died", Ms(BIRTH + 9), minute)]
