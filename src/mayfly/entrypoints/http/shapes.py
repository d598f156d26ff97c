"""The JSON that goes out, as types: the OpenAPI document is generated from these."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mayfly.model.image import ImageRecord, Personal, Source
from mayfly.model.instant import minute_end, rfc3339
from mayfly.model.stream import Letter


class RenditionOut(BaseModel):
    name: str
    media_type: str
    bytes: int
    width: int
    height: int
    href: str


class ImageListed(BaseModel):
    """An image as it stands in a list: nothing that is stored sealed."""

    id: str
    state: str
    source: str
    media_type: str = Field(description="Told from the bytes; while they are awaited, as the form has it.")
    bytes: int = Field(description="Of the original; 0 while it is awaited.")
    received_at: str = Field(description="Its birth, RFC 3339 in UTC.")
    expires_at: str = Field(description="From this second on every path answers 410.")
    attempts: int
    reason: str | None = Field(description="Why it failed or was rejected.")
    labels: Mapping[str, str]
    renditions: list[RenditionOut]
    facts: Mapping[str, Any] | None


class ImageOut(ImageListed):
    """One image, with its personal fields."""

    sha256: str | None = Field(description="null while the bytes are awaited.")
    file_name: str | None
    uploader: str | None
    personal_facts: Mapping[str, Mapping[str, Any]] = Field(
        description="What steps of your own found, by rendition, unless they declare it as facts."
    )
    receipt: None = Field(default=None, description="Comes with signed receipts.")


class PageOut(BaseModel):
    items: list[ImageListed]
    next_cursor: str | None


class FormIn(BaseModel):
    """What an upload form is asked for."""

    model_config = ConfigDict(strict=True, extra="forbid")

    media_type: str = Field(description="The type of the file that will come, such as image/jpeg.")
    bytes: int | None = Field(default=None, description="Its exact size, where it is known.")
    file_name: str | None = Field(default=None, description="Kept sealed; else the name that comes with the file.")
    retain: str | None = Field(default=None, description="ISO 8601, shorter than the retention only.")
    labels: dict[str, str] = Field(default={}, description="Labels that are declared in mayfly.toml.")


class FormOut(BaseModel):
    """An upload form. `fields` go before the file, unchanged; the file's field is `file` and comes last."""

    id: str
    url: str
    fields: Mapping[str, str]
    form_expires_at: str


class LimitsOut(BaseModel):
    direct_bytes: int = Field(description="The largest body POST /v1/images takes.")
    response_bytes: int | None = Field(description="The largest body one response carries; null: no such limit.")


class SweptOut(BaseModel):
    minute: str
    originals: int
    renditions: int
    bytes: int
    records: int
    lag_ms: int | None


class SweepRunOut(BaseModel):
    """What one sweep did. `unverified` are minutes where something still stood; they are swept again."""

    through: str
    keys_destroyed: int
    swept: list[SweptOut]
    unverified: list[str]
    orphans: int


class ReprocessOut(BaseModel):
    """What one call did. `outdated` of the `examined` would come out otherwise; of those, `reopened` were."""

    examined: int
    outdated: int
    reopened: int
    next_cursor: str | None = Field(description="Go on with it; null: that was the end.")


class DeadLetterOut(BaseModel):
    """A dead letter: it points to a record of a stream, or to an image, and holds nothing of either."""

    key: str = Field(description="TOPIC/PARTITION/OFFSET, or the id of an image that came over HTTP.")
    source: str
    topic: str | None
    partition: int | None
    offset: int | None
    image_id: str | None = Field(description="null where nothing was kept but where the record stood.")
    reason: str
    redrives: int = Field(description="How often it was redriven before it died again.")
    died_at: str
    expires_at: str = Field(description="Its image's; where nothing was kept, the end of the minute in which it goes.")
    kept: bool = Field(description="Whether the bytes are kept, so that it can be redriven.")


class DeadLettersOut(BaseModel):
    items: list[DeadLetterOut]
    next_cursor: str | None


class RedrivenOut(BaseModel):
    """What became of one letter."""

    key: str
    image_id: str | None
    result: str = Field(description="redriven, still-refused, nothing-kept, too-often, gone or under-way.")
    reason: str | None = Field(description="Why it is refused now; else why it had died.")


class RedriveOut(BaseModel):
    """What one call did, or, as a dry run, would do."""

    results: list[RedrivenOut]
    counts: Mapping[str, int] = Field(description="How many of each result; those of which there is none are 0.")
    next_cursor: str | None = Field(description="Go on with it; null: that was the end.")


def letter_out(letter: Letter) -> DeadLetterOut:
    at = letter.at
    expires_at = minute_end(letter.minute) if letter.image_id is None else letter.image_id.expires_at
    return DeadLetterOut(
        key=letter.key,
        source=(Source.HTTP if at is None else Source.KAFKA).value,
        topic=None if at is None else at.partition.topic,
        partition=None if at is None else at.partition.number,
        offset=None if at is None else at.offset,
        image_id=None if letter.image_id is None else str(letter.image_id),
        reason=letter.reason,
        redrives=letter.redrives,
        died_at=rfc3339(letter.died_at),
        expires_at=rfc3339(expires_at),
        kept=letter.image_id is not None,
    )


def listed(record: ImageRecord) -> ImageListed:
    return ImageListed(**_common(record))


def image_out(record: ImageRecord, personal: Personal) -> ImageOut:
    common = _common(record)
    common["labels"] = {**record.labels, **personal.labels}
    return ImageOut(
        **common,
        sha256=personal.sha256 or None,
        file_name=personal.file_name,
        uploader=personal.uploader,
        personal_facts=personal.step_facts,
    )


def _common(record: ImageRecord) -> dict[str, Any]:
    return {
        "id": str(record.id),
        "state": record.state.value,
        "source": record.source.value,
        "media_type": record.media_type,
        "bytes": record.size,
        "received_at": rfc3339(record.id.birth),
        "expires_at": rfc3339(record.id.expires_at),
        "attempts": record.attempts,
        "reason": record.reason,
        "labels": dict(record.labels),
        "renditions": [
            RenditionOut(
                name=rendition.name,
                media_type=rendition.media_type,
                bytes=rendition.size,
                width=rendition.width,
                height=rendition.height,
                href=f"/v1/images/{record.id}/renditions/{rendition.name}",
            )
            for rendition in record.renditions
        ],
        "facts": record.facts,
    }
