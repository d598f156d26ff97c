"""Work to be done for an image, and what was decided about it."""

from dataclasses import dataclass
from typing import NewType

from mayfly.model.identity import ImageId
from mayfly.model.image import Facts, Rendition
from mayfly.model.instant import Ms

Receipt = NewType("Receipt", str)
"""Proof of one delivery; a later delivery of the same job has another."""

LeaseToken = NewType("LeaseToken", str)
"""Proof of one claim; a later claim of the same image has another."""


@dataclass(frozen=True, slots=True)
class Job:
    """Process this image."""

    image_id: ImageId


@dataclass(frozen=True, slots=True)
class Delivery:
    """A job handed out by the queue. `receive_count` is 1 on the first delivery."""

    job: Job
    receipt: Receipt
    receive_count: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that will not be delivered again by itself. It points; it carries no byte of the image."""

    job: Job
    reason: str
    attempts: int
    died_at: Ms


@dataclass(frozen=True, slots=True)
class Processed:
    """A run that worked. `sealed` takes the place of the record's sealed `Personal`; None leaves it as it is."""

    renditions: tuple[Rendition, ...]
    facts: Facts
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a queue holds: jobs that wait, jobs that are hidden (in hand, or put off for a while), dead letters, and
    the birth of the oldest image that has a job."""

    waiting: int
    hidden: int
    dead_letters: int
    oldest: Ms | None
