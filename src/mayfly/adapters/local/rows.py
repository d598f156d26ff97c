"""Records as rows of `images`, and back."""

import json
import sqlite3
from dataclasses import asdict
from typing import Any

from mayfly.adapters.local.letters import place_of
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Rendition, Source
from mayfly.model.job import Processed
from mayfly.model.lifecycle import State
from mayfly.model.stream import Coordinates, Partition
from mayfly.ports.metadata_store import Failed, GivenBack, RejectedVerdict, Verdict

COLUMNS = (
    "id, state, source, media_type, size, sealed, labels, attempts, reason, renditions, facts,"
    ' topic, partition, "offset"'
)


def record_of(row: tuple[Any, ...]) -> ImageRecord:
    """A record from the columns named in `COLUMNS`."""
    raw, state, source, media_type, size, sealed, labels, attempts, reason, renditions, facts, *place = row
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
        origin=None if place[0] is None else Coordinates(Partition(place[0], place[1]), place[2]),
    )


def insert_record(connection: sqlite3.Connection, record: ImageRecord) -> None:
    connection.execute(
        "INSERT INTO images (id, minute, expires_at, state, source, media_type, size, sealed, labels, attempts,"
        ' reason, renditions, facts, topic, partition, "offset")'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            *((None, None, None) if record.origin is None else place_of(record.origin)),
        ),
    )


def renditions_json(renditions: tuple[Rendition, ...]) -> str:
    return json.dumps([asdict(rendition) for rendition in renditions])


def find_record(connection: sqlite3.Connection, image_id: ImageId) -> ImageRecord | None:
    row = connection.execute(
        f"SELECT {COLUMNS} FROM images WHERE id = ?",  # noqa: S608 - a fixed list of columns
        (image_id.raw,),
    ).fetchone()
    return None if row is None else record_of(row)


def settled(verdict: Verdict) -> tuple[str, tuple[object, ...]]:
    """A verdict as assignments, which are fixed texts, and their values."""
    match verdict:
        case Processed(renditions, facts, sealed):
            assignments = "state = 'processed', reason = NULL, renditions = ?, facts = ?, sealed = COALESCE(?, sealed)"
            return assignments, (renditions_json(renditions), json.dumps(facts), sealed)
        case Failed(reason):
            return "state = 'failed', reason = ?", (reason,)
        case RejectedVerdict(reason):
            return "state = 'rejected', reason = ?", (reason,)
        case GivenBack(counted, reason):
            return "state = 'received', reason = ?, attempts = attempts - ?", (reason, 0 if counted else 1)
