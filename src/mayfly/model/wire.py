"""Values as JSON, between a consumer and the owner, which are of one version. Bytes are base64, ids are hex."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mayfly.model.consumption import ConsumerFigures, PartitionFigures
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Rendition, Source
from mayfly.model.instant import Minute, Ms
from mayfly.model.lifecycle import State
from mayfly.model.retention import History, Retention
from mayfly.model.stream import Coordinates, Letter, Partition
from mayfly.model.terms import Terms

Json = Mapping[str, Any]


def bytes_to_json(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def bytes_of(text: str) -> bytes:
    return b64decode(text, validate=True)


def id_to_json(image_id: ImageId) -> str:
    return image_id.raw.hex()


def id_of(text: str) -> ImageId:
    return ImageId.from_bytes(bytes.fromhex(text))


def place_to_json(at: Coordinates | None) -> list[Any] | None:
    return None if at is None else [at.partition.topic, at.partition.number, at.offset]


def place_of(told: list[Any] | None) -> Coordinates | None:
    if told is None:
        return None
    topic, number, offset = told
    return Coordinates(Partition(topic, number), offset)


def record_to_json(record: ImageRecord) -> dict[str, Any]:
    return {
        "id": id_to_json(record.id),
        "state": record.state,
        "source": record.source,
        "media_type": record.media_type,
        "size": record.size,
        "sealed": bytes_to_json(record.sealed),
        "labels": dict(record.labels),
        "attempts": record.attempts,
        "reason": record.reason,
        "renditions": [asdict(rendition) for rendition in record.renditions],
        "facts": record.facts,
        "origin": place_to_json(record.origin),
    }


def record_of(told: Json) -> ImageRecord:
    return ImageRecord(
        id=id_of(told["id"]),
        state=State(told["state"]),
        source=Source(told["source"]),
        media_type=told["media_type"],
        size=told["size"],
        sealed=bytes_of(told["sealed"]),
        labels=told["labels"],
        attempts=told["attempts"],
        reason=told["reason"],
        renditions=tuple(Rendition(**rendition) for rendition in told["renditions"]),
        facts=told["facts"],
        origin=place_of(told["origin"]),
    )


def letter_to_json(letter: Letter) -> dict[str, Any]:
    return {
        "key": letter.key,
        "at": place_to_json(letter.at),
        "image_id": None if letter.image_id is None else id_to_json(letter.image_id),
        "reason": letter.reason,
        "died_at": letter.died_at,
        "minute": letter.minute,
        "redrives": letter.redrives,
        "published": letter.published,
    }


def letter_of(told: Json) -> Letter:
    return Letter(
        key=told["key"],
        at=place_of(told["at"]),
        image_id=None if told["image_id"] is None else id_of(told["image_id"]),
        reason=told["reason"],
        died_at=Ms(told["died_at"]),
        minute=Minute(told["minute"]),
        redrives=told["redrives"],
        published=told["published"],
    )


def terms_to_json(terms: Terms) -> dict[str, Any]:
    return {
        "source_name": terms.source_name,
        "history": [[since, retention.minutes] for since, retention in terms.history.changes],
        "max_bytes": terms.max_bytes,
        "max_pixels": terms.max_pixels,
        "labels": dict(terms.labels),
    }


def terms_of(told: Json) -> Terms:
    return Terms(
        source_name=told["source_name"],
        history=History(tuple((Ms(since), Retention(minutes)) for since, minutes in told["history"])),
        max_bytes=told["max_bytes"],
        max_pixels=told["max_pixels"],
        labels=told["labels"],
    )


def figures_to_json(figures: ConsumerFigures) -> dict[str, Any]:
    partitions = [
        [one.partition.topic, one.partition.number, one.lag, one.lag_seconds, one.oldest_age_seconds]
        for one in figures.partitions
    ]
    return asdict(figures) | {"partitions": partitions, "records": dict(figures.records)}


def figures_of(told: Json) -> ConsumerFigures:
    partitions = tuple(
        PartitionFigures(Partition(topic, number), lag, lag_seconds, oldest)
        for topic, number, lag, lag_seconds, oldest in told["partitions"]
    )
    return ConsumerFigures(**{**told, "partitions": partitions})
