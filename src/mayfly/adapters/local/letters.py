"""Dead letters as rows: what the metadata store writes of them within its own transactions."""

import sqlite3
from typing import Any

from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, dead_letter
from mayfly.model.instant import Minute, Ms, minute_end
from mayfly.model.lifecycle import State
from mayfly.model.stream import Coordinates, Letter, Partition

COLUMNS = 'key, topic, partition, "offset", image_id, reason, died_at, minute, redrives, published'

_INSERT = (
    'INSERT INTO letters (key, topic, partition, "offset", image_id, reason, died_at, minute, redrives, published,'
    " expires_at, failed, open) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)"
)
_DYING_AGAIN = (
    " ON CONFLICT (key) DO UPDATE SET image_id = excluded.image_id, reason = excluded.reason, minute = excluded.minute,"
    " expires_at = excluded.expires_at, failed = excluded.failed, died_at = excluded.died_at,"
    " redrives = redrives + NOT open, open = 1, published = 0"
)


def letter_of(row: tuple[Any, ...]) -> Letter:
    """A letter from the columns named in `COLUMNS`."""
    key, topic, partition, offset, image_id, reason, died_at, minute, redrives, published = row
    return Letter(
        key=key,
        at=None if topic is None else Coordinates(Partition(topic, partition), offset),
        image_id=None if image_id is None else ImageId.from_bytes(image_id),
        reason=reason,
        died_at=Ms(died_at),
        minute=Minute(minute),
        redrives=redrives,
        published=bool(published),
    )


def insert_letter(connection: sqlite3.Connection, letter: Letter) -> None:
    """A letter for which nothing was kept."""
    connection.execute(_INSERT, _row(letter, minute_end(letter.minute), failed=False))


def end(connection: sqlite3.Connection, record: ImageRecord, at: Ms) -> None:
    """The record came to its state, within this transaction: a dead letter, or the end of one."""
    letter = dead_letter(record, at)
    if letter is not None:
        failed = record.state is State.FAILED
        connection.execute(_INSERT + _DYING_AGAIN, _row(letter, record.id.expires_at, failed=failed))
    elif record.origin is not None:
        # A record for which nothing was kept, and that was taken after all.
        connection.execute("UPDATE letters SET open = 0 WHERE key = ?", (str(record.origin),))


def close(connection: sqlite3.Connection, image_id: ImageId) -> None:
    """The image begins anew."""
    connection.execute("UPDATE letters SET open = 0 WHERE image_id = ?", (image_id.raw,))


def _row(letter: Letter, expires_at: Ms, *, failed: bool) -> tuple[object, ...]:
    return (
        letter.key,
        *((None, None, None) if letter.at is None else place_of(letter.at)),
        None if letter.image_id is None else letter.image_id.raw,
        letter.reason,
        letter.died_at,
        letter.minute,
        letter.redrives,
        letter.published,
        expires_at,
        failed,
    )


def place_of(at: Coordinates) -> tuple[str, int, int]:
    """Coordinates as the columns topic, partition and offset."""
    return at.partition.topic, at.partition.number, at.offset
