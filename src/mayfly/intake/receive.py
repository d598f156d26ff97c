"""Receiving one image: bytes in, one durable hand-over out, or nothing at all."""

import hmac
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from mayfly.intake.body import Body
from mayfly.intake.inspect import Inspector
from mayfly.intake.labels import LabelKind, split_labels
from mayfly.model.address import Address
from mayfly.model.errors import (
    Busy,
    ClockHeld,
    Erased,
    IdempotencyReused,
    InFlight,
    InvalidRequest,
    KeyDestroyed,
    KeyNotMade,
    NotFound,
    TooLarge,
)
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Personal, Source
from mayfly.model.instant import MINUTE, Ms, Week, week_of
from mayfly.model.job import Job
from mayfly.model.journal import Journal
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention
from mayfly.ports.clock import Clock
from mayfly.ports.key_store import KeyStore
from mayfly.ports.metadata_store import MetadataStore, Reservation
from mayfly.ports.object_store import ObjectStore
from mayfly.vault.vault import Vault

LONGEST_KEY = 255
_RESERVED_FOR = 15 * MINUTE
"""How long an unfinished request holds its Idempotency-Key; a server that restarts frees it at once."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What came with the bytes. `retain` may only shorten the retention in force."""

    birth: Ms
    uploader: str
    source: Source = Source.HTTP
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
    max_uploads: int
    retention: Retention
    labels: Mapping[str, LabelKind]


class Intake:
    """The front of the house, the same for every door."""

    def __init__(
        self,
        vault: Vault,
        objects: ObjectStore,
        metadata: MetadataStore,
        keys: KeyStore,
        clock: Clock,
        limits: IntakeLimits,
        journal: Journal,
    ) -> None:
        self.limits = limits
        self.vault = vault
        self.objects = objects
        self.metadata = metadata
        self.keys = keys
        self.clock = clock
        self.journal = journal
        self._in_flight: set[ImageId] = set()
        self._lock = threading.Lock()

    def begin(self, submission: Submission) -> "Receiving":
        """Begin to receive. The caller ends it with `finish` or `abort`.

        Raises:
            UnknownType: the declared type is none we take.
            InvalidRequest: a label, the retention or the Idempotency-Key is not acceptable.
            InFlight: the Idempotency-Key is in use right now.
            Busy, ClockHeld: not now.
        """
        self.refuse_unbelieved(submission.birth)
        retention = self.retention_for(submission.retain)
        facts, personal = split_labels(submission.labels, self.limits.labels)
        # Before a place is taken: it refuses a declared type that is not taken.
        inspector = Inspector(self.limits.max_pixels, submission.declared_type)
        image_id = ImageId.new(submission.birth, retention)
        self.enter(image_id)
        try:
            reservation, holder = self._reserve(submission, image_id)
        except BaseException:
            self.leave(image_id)
            raise
        return Receiving(self, submission, inspector, image_id, facts, personal, reservation, holder)

    def in_flight(self) -> frozenset[ImageId]:
        """The images being received right now: what they have stored is nobody's orphan."""
        with self._lock:
            return frozenset(self._in_flight)

    def enter(self, image_id: ImageId) -> None:
        """Begin to receive this image, alone, until `leave`.

        Raises:
            InFlight: it is being received right now.
            Busy: too many are.
        """
        with self._lock:
            if image_id in self._in_flight:
                raise InFlight("bytes for this image are coming in right now; post the form again if they do not last")
            if len(self._in_flight) >= self.limits.max_uploads:
                raise Busy(f"{self.limits.max_uploads} uploads are under way, and no more are taken at once")
            self._in_flight.add(image_id)

    def leave(self, image_id: ImageId) -> None:
        with self._lock:
            self._in_flight.discard(image_id)

    def refuse_unbelieved(self, birth: Ms) -> None:
        """Raise ClockHeld while the time is in doubt, or where it was when this image was born."""
        # A birth from the future is one that a jump gave, which was set right since: it would lengthen a life.
        if self.clock.held() or birth > self.clock.now():
            raise ClockHeld("wall time jumped and nobody confirmed it yet: nothing is taken in meanwhile")

    def retention_for(self, asked: Retention | None) -> Retention:
        """The retention in force, or the shorter one that was asked for.

        Raises:
            InvalidRequest: it is longer.
        """
        longest = self.limits.retention
        if asked is None:
            return longest
        if asked > longest:
            raise InvalidRequest(f"retain may only shorten the retention, which is {longest}; got {asked}")
        return asked

    def tell_received(self, record: ImageRecord, seconds: float) -> None:
        """`seconds`: from its beginning to its being durable."""
        # Rounded up: the log stays for ever, and a size to the byte would single out a picture that is known elsewhere.
        kib = -(-record.size // 1_024)
        self.journal(
            "received",
            image=str(record.id),
            source=record.source,
            kib=kib,
            media_type=record.media_type,
            size=record.size,
            seconds=seconds,
        )

    def _reserve(self, submission: Submission, image_id: ImageId) -> tuple[Reservation | None, ImageId | None]:
        """The key's reservation, and the image that was admitted under it before, if one was."""
        key = submission.idempotency_key
        if key is None:
            return None, None
        if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
            raise InvalidRequest(f"an Idempotency-Key is 1 to {LONGEST_KEY} printable characters")
        # Callers put names and numbers into keys; hashed under a key that dies, they cannot be looked up later.
        # Images of last week may still live, so last week's key is asked too.
        week = week_of(submission.birth)
        text = f"{submission.uploader}\x00{key}".encode()
        try:
            aliases: tuple[bytes, ...] = (self._hash(Week(week - 1), text),)
        except (KeyDestroyed, KeyNotMade):
            aliases = ()
        reservation = Reservation(self._hash(week, text), image_id, aliases)
        holder = self.metadata.reserve(reservation, Ms(self.clock.now() + _RESERVED_FOR))
        return reservation, None if holder == image_id else holder

    def _hash(self, week: Week, text: bytes) -> bytes:
        return hmac.digest(self.keys.week_key(week), text, "sha256")


class Receiving:
    """One image under way. Used by one caller at a time; `feed` is cheap, `finish` waits for the disk."""

    def __init__(
        self,
        intake: Intake,
        submission: Submission,
        inspector: Inspector,
        image_id: ImageId,
        fact_labels: Mapping[str, str],
        personal_labels: Mapping[str, str],
        reservation: Reservation | None,
        holder: ImageId | None,
    ) -> None:
        self.image_id = image_id
        self._intake = intake
        self._submission = submission
        self._fact_labels = fact_labels
        self._personal_labels = personal_labels
        self._reservation = reservation
        self._holder = holder
        self._body = Body(intake.vault, image_id, inspector, stored=holder is None)
        self._began = time.perf_counter()
        self._open = True

    def feed(self, chunk: bytes) -> None:
        """Take more bytes.

        Raises:
            TooLarge, UnknownType, TypeMismatch, TooManyPixels: refused; the caller aborts.
            StorageFull, KeyNotMade: not now; the caller aborts.
        """
        if self._body.size + len(chunk) > self._intake.limits.max_bytes:
            raise TooLarge(f"an image is at most {self._intake.limits.max_bytes} bytes")
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
            if self._holder is not None:
                return self._repeat(self._holder)
            return self._admit(media_type)
        finally:
            self.abort()

    def abort(self) -> None:
        """Leave nothing behind. Does nothing after `finish`."""
        if not self._open:
            return
        self._open = False
        try:
            self._body.abort()
            if self._reservation is not None and self._holder is None:
                self._intake.metadata.release(self._reservation)
        finally:
            self._intake.leave(self.image_id)

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
            source=self._submission.source,
            media_type=str(media_type),
            size=self._body.size,
            sealed=self._intake.vault.seal_personal(self.image_id, personal),
            labels=dict(self._fact_labels),
        )
        self._body.commit()
        try:
            self._intake.metadata.admit(record, Job(self.image_id), self._reservation)
        except BaseException:
            self._intake.objects.delete(Address.original(self.image_id))
            raise
        self._intake.tell_received(record, time.perf_counter() - self._began)
        return Received(record, personal, created=True)

    def _repeat(self, holder: ImageId) -> Received:
        try:
            record = self._intake.metadata.get(holder)
        except NotFound:
            raise Erased("the image made under this Idempotency-Key was erased") from None
        personal = self._intake.vault.open_personal(holder, record.sealed)
        if personal.sha256 != self._body.sha256:
            raise IdempotencyReused("this Idempotency-Key was used with other bytes; use a new key for a new image")
        return Received(record, personal, created=False)
