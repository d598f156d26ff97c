"""Records as rows of `images`, and back."""

import json
import sqlite3
from dataclasses import asdict
from typing import Any

from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Rendition, Source
from mayfly.model.lifecycle import State

COLUMNS = "id, state, source, media_type, size, sealed, labels, attempts, reason, renditions, facts"


def record_of(row: tuple[Any, ...]) -> ImageRecord:
    """A record from the columns named in `COLUMNS`."""
    raw, state, source, media_type, size, sealed, labels, attempts, reason, renditions, facts = row
    return ImageRecord(
        id=ImageId.from_bytes(raw),
        state=State(state),
        source=Source(source),
        media_type=media_type,
        size=size,
        sealed=sealed,
        labels=json.loads(labels),
        attempts=attempts,
        reason=reason,
        renditions=tuple(Rendition(**fields) for fields in json.loads(renditions)),
        facts=None if facts is None else json.loads(facts),
    )


def insert_record(connection: sqlite3.Connection, record: ImageRecord) -> None:
    connection.execute(
        "INSERT INTO images (id, minute, expires_at, state, source, media_type, size, sealed, labels, attempts,"
        " reason, renditions, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.id.raw,
            record.id.expiry_minute,
            record.id.expires_at,
            record.state,
            record.source,
            record.media_type,
            record.size,
            record.sealed,
            json.dumps(dict(record.labels)),
            record.attempts,
            record.reason,
            renditions_json(record.renditions),
            None if record.facts is None else json.dumps(record.facts),
        ),
    )


def renditions_json(renditions: tuple[Rendition, ...]) -> str:
    return json.dumps([asdict(rendition) for rendition in renditions])
