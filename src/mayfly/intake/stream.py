"""The second door: one record of a stream, one image, however often the record comes.

    birth         its timestamp; without one, or from the future: a letter
    identity      of its birth, retention and coordinates; due, erased, or here already: nothing new
    bytes         its value, or the file its claim check points at; too many, or none: a letter
    inspection    what fails is kept sealed as `rejected`, with its letter, until it expires
    idempotency   a CloudEvent that came before under other coordinates is met, or rejected for other bytes
    hand-over     object durable, then record and job; only then is a claimed file removed

Each step may be the last before a crash. The record then comes again and goes the same way: the object is written
over, the admission meets itself, the letter stands, the claimed file is removed.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from mayfly.intake.coming import Coming, remove_claimed
from mayfly.intake.envelope import envelope_of
from mayfly.intake.idempotency import Held
from mayfly.intake.intake import Intake
from mayfly.intake.kept_body import KeptBody
from mayfly.intake.reasons import FROM_THE_FUTURE, NO_TIMESTAMP, reason_of
from mayfly.model.address import Address
from mayfly.model.errors import (
    AlreadyExists,
    ClaimFault,
    ClaimMismatch,
    ClockHeld,
    EmptyBody,
    Erased,
    Expired,
    Gone,
    IdempotencyReused,
    InFlight,
    InvalidRequest,
    KeyDestroyed,
    NotFound,
    Refused,
    TooLarge,
    Unavailable,
)
from mayfly.model.identity import LAST_BIRTH, ImageId
from mayfly.model.image import ImageRecord, Personal, Source
from mayfly.model.instant import MINUTE, Minute, Ms
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.stream import Coordinates, Letter, StreamRecord
from mayfly.model.terms import Terms
from mayfly.ports.claim_source import ClaimSource
from mayfly.ports.dead_letters import DeadLetters

PATIENCE = Ms(MINUTE)
"""How far ahead of us a record's clock may be, in ms."""
SCOPE = "cloudevents"
UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Kept:
    """Durable here: taken in now (`created`), or met: itself, or the same CloudEvent with the same bytes."""

    image_id: ImageId
    created: bool


@dataclass(frozen=True, slots=True)
class Passed:
    """Creates nothing: its time is over, or it, or the one it repeats, was erased."""

    reason: Literal["due", "erased"]


@dataclass(frozen=True, slots=True)
class Buried:
    """Its dead letter is durable in the owner's rows. Unless it is `published`, the dead-letter topic has yet to get
    it before the record is done."""

    letter: Letter


@dataclass(frozen=True, slots=True)
class Early:
    """Born a little ahead of us: to be brought again from then on."""

    until: Ms


Outcome = Kept | Passed | Buried | Early


class StreamDoor:
    """Thread-safe: every record is taken by itself."""

    def __init__(self, intake: Intake, letters: DeadLetters, terms: Callable[[], Terms], claims: ClaimSource) -> None:
        """`terms` is asked once for every record."""
        self._intake = intake
        self._letters = letters
        self._terms = terms
        self._claims = claims

    def take(self, record: StreamRecord) -> Outcome:
        """Take one record to its end. What is returned is durable.

        Raises:
            Unavailable, InFlight, LeaseLost: not now; the same record is to be brought again. No letter was written.
        """
        try:
            return self._take(record, self._terms())
        except OSError as fault:
            raise Unavailable(f"the disk does not do its work: {fault.strerror}") from fault

    def _take(self, record: StreamRecord, terms: Terms) -> Outcome:
        now, birth = self._now(), record.timestamp
        if birth is None or not 0 <= birth <= LAST_BIRTH:
            return self._note(record.at, NO_TIMESTAMP, terms.history.at(now).expiry_minute(now))
        if birth > now + PATIENCE:
            return self._note(record.at, FROM_THE_FUTURE, terms.history.at(now).expiry_minute(now))
        if birth > now:
            return Early(birth)
        envelope = envelope_of(record.headers, record.value)
        coming = Coming(record.at, record.value or b"", envelope, birth, terms)
        if now >= coming.image_id.expires_at:
            return self._pass(coming, "due")
        try:
            return self._met_itself(coming) or self._bring_in(coming)
        except Erased:
            return self._erased(coming)
        except Expired:
            return self._expired(coming)

    def _expired(self, coming: Coming) -> Passed:
        # While the clock is held, it is what a doubted time says.
        if self._now() >= coming.image_id.expires_at or self._key_is_gone(coming.image_id):
            return self._pass(coming, "due")
        if self._intake.keys.is_erased(coming.image_id):
            return self._erased(coming)
        # Its unfinished object was removed: by an erasure, or as nobody's, where the owner had lost sight of us.
        raise Unavailable("what was written of the image was taken away meanwhile")

    def _erased(self, coming: Coming) -> Passed:
        if self._intake.keys.is_erased(coming.image_id):
            # What an attempt before this one left would stand until somebody looks for orphans.
            self._intake.objects.delete(Address.original(coming.image_id))
        return self._pass(coming, "erased")

    def _key_is_gone(self, image_id: ImageId) -> bool:
        try:
            self._intake.keys.key(image_id.expiry_minute)
        except KeyDestroyed:
            return True
        return False

    def _pass(self, coming: Coming, reason: Literal["due", "erased"]) -> Passed:
        remove_claimed(self._claims, coming)
        return Passed(reason)

    def _now(self) -> Ms:
        now = self._intake.clock.now()
        if self._intake.clock.held():
            raise ClockHeld("wall time jumped and nobody confirmed it yet: nothing is taken in meanwhile")
        return now

    def _met_itself(self, coming: Coming) -> Kept | Buried | None:
        try:
            found = self._intake.admissions.get(coming.image_id)
        except NotFound:
            return None
        remove_claimed(self._claims, coming)
        if found.state is State.REJECTED:
            letter = self._letters.letter(str(coming.at))
            if letter is not None and not letter.published:
                return Buried(letter)
        return Kept(coming.image_id, created=False)

    def _bring_in(self, coming: Coming) -> Kept | Buried:
        try:
            coming.refuse_unkept()
            self._intake.under_way.enter(coming.image_id)
            try:
                self._intake.vault.refuse_gone(coming.image_id)
                if coming.claim is None:
                    return self._store(coming, coming.chunks())
                with contextlib.closing(self._claims.open(coming.claim)) as claimed:
                    outcome = self._store(coming, claimed.chunks())
                    claimed.remove()
                    return outcome
            finally:
                self._intake.under_way.leave(coming.image_id)
        except ClaimFault as refusal:
            # Another consumer may have brought the image in, and removed its file, since we looked.
            return self._met_itself(coming) or self._note_of(coming, refusal)
        except (EmptyBody, TooLarge, InvalidRequest) as refusal:
            return self._note_of(coming, refusal)

    def _store(self, coming: Coming, chunks: Iterator[bytes | memoryview]) -> Kept | Buried:
        began = time.perf_counter()
        body = KeptBody(self._intake.vault, coming.image_id, coming.terms.max_pixels, coming.envelope.declared_type)
        try:
            for chunk in chunks:
                body.feed(chunk)
            body.finish()
            if coming.claim is not None and body.sha256 != coming.claim.sha256:
                raise ClaimMismatch("the claimed file has another SHA-256 than its claim check says")
            refusal, held = body.refusal or coming.fault, None
            if refusal is None and coming.envelope.event is not None:
                held = self._intake.idempotency.reserve(SCOPE, coming.envelope.event, coming.image_id)
                if held.holder is not None:
                    refusal = self._reused(held.holder, body.sha256)
                    if refusal is None:
                        return Kept(held.holder, created=False)
                    held = None
            return self._admit(coming, body, refusal, held, began)
        finally:
            body.abort()

    def _reused(self, holder: ImageId, sha256: str) -> IdempotencyReused | None:
        try:
            self._intake.idempotency.met(holder, sha256)
        except IdempotencyReused as refusal:
            return refusal
        except Expired:
            # Its death leaves the event to us, from the next time on.
            raise InFlight("the image that holds this CloudEvent's id dies right now") from None
        return None

    def _admit(
        self, coming: Coming, body: KeptBody, refusal: Refused | None, held: Held | None, began: float
    ) -> Kept | Buried:
        record = self._record(coming, body, refusal)
        job = None if refusal is not None else Job(record.id)
        try:
            body.commit()
            self._refuse_erased(record.id)
            self._intake.admissions.admit(record, job, None if held is None else held.reservation)
            self._refuse_erased(record.id)
        except AlreadyExists:
            # Another consumer was first. What stands there are the same bytes, whoever of us wrote last.
            met = self._met_itself(coming)
            if met is None:
                raise Erased("the image was erased") from None
            return met
        except (Gone, InvalidRequest):
            # Certain. After an answer that did not come, or a second one of ourselves, the object may be the image's.
            self._intake.objects.delete(Address.original(record.id))
            if held is not None:
                self._intake.idempotency.give_back(held)
            raise
        if refusal is None:
            self._intake.tell_received(record, time.perf_counter() - began)
            return Kept(record.id, created=True)
        self._intake.journal("dead_lettered", image=str(record.id), source=Source.KAFKA, reason=record.reason)
        letter = self._letters.letter(str(coming.at))
        return Kept(record.id, created=True) if letter is None else Buried(letter)

    def _record(self, coming: Coming, body: KeptBody, refusal: Refused | None) -> ImageRecord:
        personal = Personal(
            sha256=body.sha256,
            file_name=coming.envelope.file_name,
            uploader=coming.envelope.source or Source.KAFKA.value,
            labels=dict(coming.personal_labels),
        )
        return ImageRecord(
            id=coming.image_id,
            state=State.RECEIVED if refusal is None else State.REJECTED,
            source=Source.KAFKA,
            media_type=str(body.media_type or UNKNOWN_TYPE),
            size=body.size,
            sealed=self._intake.vault.seal_personal(coming.image_id, personal),
            labels=dict(coming.fact_labels),
            reason=None if refusal is None else reason_of(refusal),
            origin=coming.at,
        )

    def _refuse_erased(self, image_id: ImageId) -> None:
        if self._intake.keys.is_erased(image_id):
            raise Erased("the image was erased")

    def _note_of(self, coming: Coming, refusal: Refused) -> Buried:
        self._refuse_erased(coming.image_id)
        return self._note(coming.at, reason_of(refusal), coming.image_id.expiry_minute)

    def _note(self, at: Coordinates, reason: str, minute: Minute) -> Buried:
        letter = Letter.of_record(at, None, reason, self._intake.clock.now(), minute)
        standing = self._letters.note(letter)
        if standing == letter:
            self._intake.journal("dead_lettered", source=Source.KAFKA, reason=reason)
        return Buried(standing)
