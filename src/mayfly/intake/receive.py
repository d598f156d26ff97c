"""Receiving one image over HTTP: bytes in, one durable hand-over out, or nothing at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from mayfly.intake.entry import Entry
from mayfly.intake.idempotency import Held
from mayfly.intake.inspect import Inspector
from mayfly.intake.intake import Intake
from mayfly.intake.labels import split_labels
from mayfly.model.errors import InvalidRequest, TooLarge
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Personal, Source
from mayfly.model.instant import Ms
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention
from mayfly.model.terms import LabelKind

LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Submission:
    """What came with the bytes. `retain` may only shorten the retention in force."""

    birth: Ms
    uploader: str
    declared_type: str | None = None
    file_name: str | None = None
    retain: Retention | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """The image as it stands. `created` is False when an earlier request with the same key had made it."""

    record: ImageRecord
    personal: Personal
    created: bool


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    max_bytes: int
    max_pixels: int
    retention: Retention
    labels: Mapping[str, LabelKind]

    def retention_for(self, asked: Retention | None) -> Retention:
        """The retention in force, or the shorter one that was asked for.

        Raises:
            InvalidRequest: it is longer.
        """
        if asked is None:
            return self.retention
        if asked > self.retention:
            raise InvalidRequest(f"retain may only shorten the retention, which is {self.retention}; got {asked}")
        return asked


class UploadDoor:
    """The first door: one upload, one image."""

    def __init__(self, intake: Intake, limits: IntakeLimits) -> None:
        self.intake = intake
        self.limits = limits

    def begin(self, submission: Submission) -> "Receiving":
        """Begin to receive. The caller ends it with `finish` or `abort`.

        Raises:
            UnknownType: the declared type is none we take.
            InvalidRequest: a label, the retention or the Idempotency-Key is not acceptable.
            InFlight: the Idempotency-Key is in use right now.
            Busy, ClockHeld: not now.
        """
        intake = self.intake
        intake.refuse_unbelieved(submission.birth)
        retention = self.limits.retention_for(submission.retain)
        facts, personal = split_labels(submission.labels, self.limits.labels)
        # Before a place is taken: it refuses a declared type that is not taken.
        inspector = Inspector(self.limits.max_pixels, submission.declared_type)
        image_id = ImageId.new(submission.birth, retention)
        intake.under_way.enter(image_id)
        try:
            held = self._reserve(submission, image_id)
        except BaseException:
            intake.under_way.leave(image_id)
            raise
        entry = Entry(intake, image_id, inspector, stored=held is None or held.holder is None)
        return Receiving(self, submission, entry, facts, personal, held)

    def _reserve(self, submission: Submission, image_id: ImageId) -> Held | None:
        key = submission.idempotency_key
        if key is None:
            return None
        if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
            raise InvalidRequest(f"an Idempotency-Key is 1 to {LONGEST_KEY} printable characters")
        return self.intake.idempotency.reserve(submission.uploader, key, image_id)


class Receiving:
    """One image under way. Used by one caller at a time; `feed` is cheap, `finish` waits for the disk."""

    def __init__(
        self,
        door: UploadDoor,
        submission: Submission,
        entry: Entry,
        fact_labels: Mapping[str, str],
        personal_labels: Mapping[str, str],
        held: Held | None,
    ) -> None:
        self.image_id = entry.image_id
        self._intake = door.intake
        self._max_bytes = door.limits.max_bytes
        self._submission = submission
        self._fact_labels = fact_labels
        self._personal_labels = personal_labels
        self._held = held
        self._entry = entry
        self._body = entry.body

    def feed(self, chunk: bytes) -> None:
        """Take more bytes.

        Raises:
            TooLarge, UnknownType, TypeMismatch, TooManyPixels: refused; the caller aborts.
            StorageFull, KeyNotMade: not now; the caller aborts.
        """
        if self._body.size + len(chunk) > self._max_bytes:
            raise TooLarge(f"an image is at most {self._max_bytes} bytes")
        self._body.feed(chunk)

    def finish(self) -> Received:
        """The whole body came: make it durable and hand it over, or find the image an earlier request made.

        When it returns, key, file, folder, record and job would survive a power cut.

        Raises:
            EmptyBody, UnknownType, TypeMismatch, TooManyPixels, IdempotencyReused: refused; nothing is kept.
            Expired, Erased: the image died meanwhile, or the one made under this key was erased.
            StorageFull: not now; nothing is kept.
        """
        try:
            media_type = self._body.finish()
            if self._held is not None and self._held.holder is not None:
                record, personal = self._intake.idempotency.met(self._held.holder, self._body.sha256)
                return Received(record, personal, created=False)
            return self._admit(media_type)
        finally:
            self.abort()

    def abort(self) -> None:
        """Leave nothing behind. Does nothing after `finish`."""
        if not self._entry.open:
            return
        try:
            if self._held is not None:
                self._intake.idempotency.give_back(self._held)
        finally:
            self._entry.close()

    def _admit(self, media_type: str) -> Received:
        personal = Personal(
            sha256=self._body.sha256,
            file_name=self._submission.file_name,
            uploader=self._submission.uploader,
            labels=dict(self._personal_labels),
        )
        record = ImageRecord(
            id=self.image_id,
            state=State.RECEIVED,
            source=Source.HTTP,
            media_type=str(media_type),
            size=self._body.size,
            sealed=self._intake.vault.seal_personal(self.image_id, personal),
            labels=dict(self._fact_labels),
        )
        self._body.commit()
        reservation = None if self._held is None else self._held.reservation
        self._entry.hand_over(record, partial(self._intake.admissions.admit, record, Job(self.image_id), reservation))
        return Received(record, personal, created=True)
