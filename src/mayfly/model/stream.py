"""Records of a stream: where they stand, what they hold, and what is left of those that could not be taken."""

from collections.abc import Sequence
from dataclasses import dataclass

from mayfly.model.identity import ImageId
from mayfly.model.instant import Minute, Ms


@dataclass(frozen=True, order=True, slots=True)
class Partition:
    """One partition of one topic. Records have an order in it, and nowhere else."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


@dataclass(frozen=True, order=True, slots=True)
class Coordinates:
    """Where one record stands. Two records never stand at the same place of one source."""

    partition: Partition
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


UNREADABLE_HEADERS = (("\ufffd", b""),)
"""What stands in the place of headers that could not be read at all: a name that is no text spoils them all."""


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One record as it came. `timestamp` is its birth, None where the record has none; `value` None is a tombstone.
    `tenure` numbers the assignment of its partition under which it was read (see `ports.image_stream`)."""

    at: Coordinates
    tenure: int
    timestamp: Ms | None
    headers: Sequence[tuple[str, bytes]]
    value: bytes | None

    @property
    def size(self) -> int:
        """Bytes that it holds in memory."""
        return len(self.value or b"") + sum(len(name) + len(value) for name, value in self.headers)


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: it points, it carries no byte of the image and none of the record's headers.

    `key` never changes: the record's coordinates, or, for an image that came over HTTP, its id. `image_id` is None
    where nothing was kept but the coordinates. `reason` is a slug. `minute` is when it is purged. `redrives` counts
    how often it was redriven before it died again. `published`: whether the dead-letter topic has it.
    """

    key: str
    at: Coordinates | None
    image_id: ImageId | None
    reason: str
    died_at: Ms
    minute: Minute
    redrives: int = 0
    published: bool = False

    @classmethod
    def of_record(cls, at: Coordinates, image_id: ImageId | None, reason: str, died_at: Ms, minute: Minute) -> "Letter":
        """The letter of a record that could not be taken."""
        return cls(str(at), at, image_id, reason, died_at, minute)


@dataclass(frozen=True, slots=True)
class Survey:
    """One partition as the broker sees it: the offset of its oldest record, the one after its newest, the one after
    the last that the group has done with (None: it has committed nothing), and the oldest record's timestamp (None:
    the partition is empty)."""

    partition: Partition
    earliest: int
    latest: int
    committed: int | None
    oldest_at: Ms | None
