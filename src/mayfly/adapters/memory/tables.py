"""What the memory adapters of records, jobs, letters and events share, under one lock."""

import threading
from bisect import bisect_left
from dataclasses import dataclass, replace

from mayfly.model.errors import Expired, NotFound
from mayfly.model.event import TOLD, Event, event_of
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, dead_letter
from mayfly.model.instant import Minute, Ms, minute_end
from mayfly.model.job import DeadLetter, Job, LeaseToken, Receipt
from mayfly.model.lifecycle import State
from mayfly.model.stream import Letter
from mayfly.ports.clock import Clock


@dataclass(slots=True)
class ImageRow:
    """A record and its lease: `token` and `lease_until` are None where nobody took one."""

    record: ImageRecord
    token: LeaseToken | None = None
    lease_until: Ms | None = None


@dataclass(slots=True)
class JobRow:
    """A job in the outbox. `receipt` is that of its latest delivery."""

    job: Job
    visible_at: Ms
    receive_count: int = 0
    receipt: Receipt | None = None


@dataclass(slots=True)
class ReservationRow:
    """An idempotency key: held by a request until `until`, or `kept` with the image admitted under it."""

    image_id: ImageId
    until: Ms
    kept: bool = False


@dataclass(slots=True)
class LetterRow:
    """A dead letter. One that is not open remembers how often it was redriven. `failed`: we were at fault."""

    letter: Letter
    failed: bool = False
    open: bool = True

    @property
    def expires_at(self) -> Ms:
        image_id = self.letter.image_id
        return minute_end(self.letter.minute) if image_id is None else image_id.expires_at


class Tables:
    """What the metadata store and the work queue share. Touch it only while holding `changed`, which is notified
    whenever a job may have become visible, and whenever an event was told."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.changed = threading.Condition()
        self.images: dict[ImageId, ImageRow] = {}
        self.order: list[ImageId] = []
        self.jobs: dict[ImageId, JobRow] = {}
        self.buried: dict[ImageId, DeadLetter] = {}
        self.letters: dict[str, LetterRow] = {}
        self.reservations: dict[bytes, ReservationRow] = {}
        self.events: list[Event] = []
        self.told = 0

    def tell(self, record: ImageRecord) -> None:
        """The record came to its state. A state that nobody is told of is passed over."""
        if record.state in TOLD:
            self.told += 1
            self.events.append(event_of(self.told, record, self.clock.now()))
            self.changed.notify_all()

    def end(self, record: ImageRecord) -> None:
        """The record came to its state: a dead letter, or the end of one."""
        letter = dead_letter(record, self.clock.now())
        if letter is not None:
            before = self.letters.get(letter.key)
            redrives = 0 if before is None else before.letter.redrives + (not before.open)
            row = LetterRow(replace(letter, redrives=redrives), failed=record.state is State.FAILED)
            self.letters[letter.key] = row
        elif record.origin is not None and (row_there := self.letters.get(str(record.origin))):
            row_there.open = False

    def refuse_due(self, image_id: ImageId) -> None:
        if self.clock.now() >= image_id.expires_at:
            raise Expired(f"image {image_id} reached the end of its life")

    def living(self, image_id: ImageId) -> ImageRow:
        self.refuse_due(image_id)
        if image_id not in self.images:
            raise NotFound(f"no such image: {image_id}")
        return self.images[image_id]

    def hand_over(self, job: Job) -> None:
        """A new job takes the place of whatever job or dead letter the image had: older receipts end here."""
        self.jobs[job.image_id] = JobRow(job, self.clock.now())
        self.buried.pop(job.image_id, None)
        self.changed.notify_all()

    def remove(self, image_id: ImageId) -> None:
        self.jobs.pop(image_id, None)
        self.buried.pop(image_id, None)
        for dead in self.of_image(image_id):
            del self.letters[dead.letter.key]
        if row := self.images.pop(image_id, None):
            del self.order[bisect_left(self.order, image_id)]
            self.tell(replace(row.record, state=State.PURGED, reason=None, renditions=()))

    def of_image(self, image_id: ImageId) -> list[LetterRow]:
        """Its dead letter, if it has one."""
        return [row for row in self.letters.values() if row.letter.image_id == image_id]

    def purge_letters(self, minute: Minute) -> None:
        self.letters = {key: row for key, row in self.letters.items() if row.letter.minute != minute}
