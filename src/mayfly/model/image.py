"""One image's record: what is stored about it beside its bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mayfly.model.identity import ImageId
from mayfly.model.instant import Ms
from mayfly.model.lifecycle import State
from mayfly.model.stream import Coordinates, Letter


class Source(StrEnum):
    HTTP = "http"
    KAFKA = "kafka"


class MediaType(StrEnum):
    """What Mayfly takes in and gives out."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"
    GIF = "image/gif"
    TIFF = "image/tiff"
    HEIC = "image/heic"
    AVIF = "image/avif"


@dataclass(frozen=True, slots=True)
class Rendition:
    """A processed picture made from the original. `size` is its unsealed bytes, `recipe` its recipe's hash,
    `stored_as` its object's name where that is not its own."""

    name: str
    media_type: str
    size: int
    width: int
    height: int
    recipe: str
    stored_as: str | None = None

    @property
    def object_name(self) -> str:
        return self.stored_as or self.name


@dataclass(frozen=True, slots=True)
class Personal:
    """What may identify someone or a known picture. Stored only as one sealed blob. `step_facts` are what steps of the
    user's own found, by rendition; `sha256` is empty while the bytes are awaited."""

    sha256: str
    file_name: str | None = None
    uploader: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    step_facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


Facts = Mapping[str, Any]
"""Non-personal findings, as JSON values; their names and units are in docs/reference/facts.md."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """The record. `size` is the original's unsealed bytes, `labels` those declared as facts, `sealed` the sealed
    `Personal`, `attempts` how many runs were begun, `reason` a slug that names why it failed or was rejected, `origin`
    where in its stream it stood."""

    id: ImageId
    state: State
    source: Source
    media_type: str
    size: int
    sealed: bytes
    labels: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 0
    reason: str | None = None
    renditions: tuple[Rendition, ...] = ()
    facts: Facts | None = None
    origin: Coordinates | None = None


def dead_letter(record: ImageRecord, died_at: Ms) -> Letter | None:
    """The letter of an image that ended without having been processed and waits for a person; None: it does not.

    Whoever sent an image over HTTP was told, or looks, so that one that is rejected leaves none.
    """
    waits = record.state is State.FAILED or (record.state is State.REJECTED and record.origin is not None)
    if not waits:
        return None
    key = str(record.id) if record.origin is None else str(record.origin)
    reason = record.reason or str(record.state)
    return Letter(key, record.origin, record.id, reason, died_at, record.id.expiry_minute)
