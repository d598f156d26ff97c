"""What the server answers, as frozen values. `raw` is the JSON as it came: fields that are new there are kept in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

SETTLED = frozenset({"processed", "failed", "rejected"})
"""The states in which nothing more happens by itself, but the end."""

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rendition:
    """A processed picture made from an original. `width` and `height` are pixels; `href` is its path."""

    name: str
    media_type: str
    bytes: int
    width: int
    height: int
    href: str
    raw: Document = field(repr=False, compare=False)

    @classmethod
    def of(cls, document: Document) -> Self:
        names = ("name", "media_type", "bytes", "width", "height", "href")
        return cls(**{name: document[name] for name in names}, raw=document)


@dataclass(frozen=True, slots=True)
class Image:
    """One image. Times are aware, in UTC. What is personal is in no `repr`, so that it is in no log.

    From a list the sealed fields are None: `sha256`, `file_name`, `uploader`, `personal_facts`; and `labels` are the
    facts alone.
    While a form waits for its upload (`awaited`), `bytes` is 0 and `sha256` None.
    """

    id: str
    state: str
    source: str
    media_type: str
    bytes: int
    received_at: datetime
    expires_at: datetime
    attempts: int
    reason: str | None
    labels: Mapping[str, str] = field(repr=False)
    renditions: tuple[Rendition, ...]
    facts: Document | None = field(repr=False)
    sha256: str | None = field(repr=False)
    file_name: str | None = field(repr=False)
    uploader: str | None = field(repr=False)
    personal_facts: Document | None = field(repr=False)
    raw: Document = field(repr=False, compare=False)

    @property
    def settled(self) -> bool:
        """Processed, failed or rejected: nothing more happens by itself."""
        return self.state in SETTLED

    @classmethod
    def of(cls, document: Document) -> Self:
        return cls(
            id=document["id"],
            state=document["state"],
            source=document["source"],
            media_type=document["media_type"],
            bytes=document["bytes"],
            received_at=instant(document["received_at"]),
            expires_at=instant(document["expires_at"]),
            attempts=document["attempts"],
            reason=document["reason"],
            labels=document["labels"],
            renditions=tuple(Rendition.of(rendition) for rendition in document["renditions"]),
            facts=document["facts"],
            sha256=document.get("sha256"),
            file_name=document.get("file_name"),
            uploader=document.get("uploader"),
            personal_facts=document.get("personal_facts"),
            raw=document,
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Images, newest first. `next_cursor` leads to the page after; None: this was the last."""

    items: tuple[Image, ...]
    next_cursor: str | None
    raw: Document = field(repr=False, compare=False)

    @classmethod
    def of(cls, document: Document) -> Self:
        return cls(tuple(Image.of(item) for item in document["items"]), document["next_cursor"], document)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may carry, in bytes. None: no such limit."""

    direct_bytes: int
    response_bytes: int | None
    raw: Document = field(repr=False, compare=False)

    @classmethod
    def of(cls, document: Document) -> Self:
        return cls(document["direct_bytes"], document["response_bytes"], document)


@dataclass(frozen=True, slots=True)
class Swept:
    """What the sweep of one minute removed, in pieces and bytes; `lag_ms` after the minute's end."""

    minute: str
    originals: int
    renditions: int
    bytes: int
    records: int
    lag_ms: int | None

    @classmethod
    def of(cls, document: Document) -> Self:
        return cls(**{name: document[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep did. `unverified` are minutes where something still stood; they are swept again."""

    through: str
    keys_destroyed: int
    swept: tuple[Swept, ...]
    unverified: tuple[str, ...]
    orphans: int
    raw: Document = field(repr=False, compare=False)

    @classmethod
    def of(cls, document: Document) -> Self:
        return cls(
            through=document["through"],
            keys_destroyed=document["keys_destroyed"],
            swept=tuple(Swept.of(minute) for minute in document["swept"]),
            unverified=tuple(document["unverified"]),
            orphans=document["orphans"],
            raw=document,
        )


@dataclass(frozen=True, slots=True)
class Reprocessed:
    """What one call did. `outdated` of the `examined` would come out otherwise; of those, `reopened` were."""

    examined: int
    outdated: int
    reopened: int
    next_cursor: str | None
    raw: Document = field(repr=False, compare=False)

    @classmethod
    def of(cls, document: Document) -> Self:
        names = ("examined", "outdated", "reopened", "next_cursor")
        return cls(**{name: document[name] for name in names}, raw=document)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What ended without having been processed. `key` is `TOPIC/PARTITION/OFFSET`, or the id of an image that came over
    HTTP; `image_id` is None, and nothing `kept`, where the record's coordinates are all there is."""

    key: str
    source: str
    topic: str | None
    partition: int | None
    offset: int | None
    image_id: str | None
    reason: str
    redrives: int
    died_at: datetime
    expires_at: datetime
    kept: bool
    raw: Document = field(repr=False, compare=False)

    @classmethod
    def of(cls, document: Document) -> Self:
        names = ("key", "source", "topic", "partition", "offset", "image_id", "reason", "redrives", "kept")
        return cls(
            **{name: document[name] for name in names},
            died_at=instant(document["died_at"]),
            expires_at=instant(document["expires_at"]),
            raw=document,
        )


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of one letter, or would. `result` is `redriven`, `still-refused`, `nothing-kept`, `too-often`, `gone`
    or `under-way`; `reason` says why it is refused now, else why it had died."""

    key: str
    image_id: str | None
    result: str
    reason: str | None
    raw: Document = field(repr=False, compare=False)

    @classmethod
    def of(cls, document: Document) -> Self:
        return cls(**{name: document[name] for name in ("key", "image_id", "result", "reason")}, raw=document)


def instant(text: str) -> datetime:
    """An RFC 3339 time.

    Raises:
        ValueError: not one, or without an offset.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"a time without an offset: {text[:40]!r}")
    return found
