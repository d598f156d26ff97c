"""Direct uploads: a form is issued for one image, and the first file that is posted with it becomes that image.

    issue        record `awaited`, durable          from here on the image has an id, a birth and a death
    open         signature, policy, time; alone     one post of a form at a time
    feed         inspected, hashed, sealed          as every upload
    finish       object durable, then one write     awaited -> received with its job: the first admission wins

A crash between object and admission leaves the form usable: the object has a name, but no record speaks of it, nobody
is served it, and the next post of the form takes it away before it begins.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from mayfly.intake.entry import Entry
from mayfly.intake.form_policy import FormTerms, fields_of, image_of, posted, verified
from mayfly.intake.inspect import Inspector, declared_type
from mayfly.intake.intake import Intake
from mayfly.intake.labels import split_labels
from mayfly.intake.receive import IntakeLimits
from mayfly.model.address import Address
from mayfly.model.errors import (
    AlreadyExists,
    Busy,
    Erased,
    Expired,
    FormExpired,
    FormRefused,
    FormTooLarge,
    FormTooSmall,
    Gone,
    InvalidRequest,
    KeyNotMade,
    NotFound,
    TooLarge,
)
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Personal, Source
from mayfly.model.instant import Ms
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention
from mayfly.ports.metadata_store import MetadataStore
from mayfly.ports.object_store import StoredObject

_OVER = "the form's time is over: ask for a new one"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a form is asked for. `size` is the file's exact bytes, where they are known."""

    media_type: str
    uploader: str
    size: int | None = None
    file_name: str | None = None
    retain: Retention | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was issued. Its fields alone say what it allows: nothing else remembers it."""

    record: ImageRecord
    fields: Mapping[str, str]
    expires_at: Ms


class Forms:
    def __init__(
        self, intake: Intake, metadata: MetadataStore, limits: IntakeLimits, lifetime: Retention, most: int
    ) -> None:
        """`lifetime`: how long a form may be posted, at most as long as its image lives. `most`: awaited images at
        once."""
        self.intake = intake
        self.limits = limits
        self.metadata = metadata
        self._lifetime = lifetime
        self._most = most
        self._issuing = 0
        self._lock = threading.Lock()

    def issue(self, wanted: Wanted) -> Form:
        """Record an image whose bytes are awaited, durably, and give the form that they come by.

        Raises:
            InvalidRequest, UnknownType, TooLarge: what is wanted cannot be had.
            Busy: too many forms are open.
            ClockHeld, KeyNotMade, StorageFull: not now.
        """
        intake = self.intake
        media_type = declared_type(wanted.media_type)
        if media_type is None:
            raise InvalidRequest("media_type names the type of the image that will come, for example image/jpeg")
        least, most = self._range(wanted.size)
        facts, personal_labels = split_labels(wanted.labels, self.limits.labels)
        retention = self.limits.retention_for(wanted.retain)
        # The birth of an image that comes by a form is the issue of the form.
        birth = intake.clock.now()
        intake.refuse_unbelieved(birth)
        image_id = ImageId.new(birth, retention)
        personal = Personal("", wanted.file_name, wanted.uploader, personal_labels)
        record = ImageRecord(
            id=image_id,
            state=State.AWAITED,
            source=Source.HTTP,
            media_type=str(media_type),
            size=0,
            sealed=intake.vault.seal_personal(image_id, personal),
            labels=facts,
        )
        expires_at = min(self._lifetime, retention).expires_at(birth)
        fields = fields_of(
            FormTerms(image_id, media_type, least, most, expires_at), intake.vault.form_secret(image_id), birth
        )
        self._admit(record)
        intake.journal("awaited", image=str(image_id), source=record.source)
        return Form(record, fields, expires_at)

    def open(self, pairs: Iterable[tuple[str, str]], file_name: str | None) -> "Arrival":
        """Begin to receive a form's file. The caller ends it with `finish` or `abort`.

        `pairs` are the fields before the file; `file_name` is the part's own, used where none was told beforehand.

        Raises:
            InvalidRequest, FormRefused, FormExpired: the form does not hold.
            Erased: the image was erased.
            AlreadyExists: its bytes came before.
            InFlight, Busy, ClockHeld: not now.
        """
        fields = posted(pairs)
        terms = verified(fields, self._secret(image_of(fields)))
        intake = self.intake
        intake.refuse_unbelieved(terms.image_id.birth)
        if intake.clock.now() >= terms.expires_at:
            raise FormExpired(_OVER)
        intake.vault.refuse_gone(terms.image_id)
        intake.under_way.enter(terms.image_id)
        try:
            record = self._awaited(terms.image_id)
            personal = intake.vault.open_personal(record.id, record.sealed)
            self._clear(Address.original(record.id))
            inspector = Inspector(self.limits.max_pixels, str(terms.media_type))
            entry = Entry(intake, record.id, inspector)
            personal = replace(personal, file_name=personal.file_name or file_name)
            return Arrival(self, entry, terms, record, personal)
        except BaseException:
            intake.under_way.leave(terms.image_id)
            raise

    def _clear(self, original: Address) -> None:
        """Remove what a post that a crash cut off has left. While we are inside, nobody else can bring it."""
        self.intake.objects.delete(original)
        self.intake.objects.discard(StoredObject(original, 0, unfinished=True))

    def _range(self, size: int | None) -> tuple[int, int]:
        most = self.limits.max_bytes
        if size is None:
            return 1, most
        if size < 1:
            raise InvalidRequest(f"bytes is the file's exact size, at least 1; got {size}")
        if size > most:
            raise TooLarge(f"an image is at most {most} bytes; this form is asked for {size}")
        return size, size

    def _admit(self, record: ImageRecord) -> None:
        with self._lock:
            # Those being recorded count, too: of many at once, none gets past the bound.
            if self.metadata.count(State.AWAITED) + self._issuing >= self._most:
                raise Busy(f"{self._most} forms are open; post them, erase their images, or let them lapse")
            self._issuing += 1
        try:
            self.metadata.admit(record, None)
        finally:
            with self._lock:
                self._issuing -= 1

    def _secret(self, image_id: ImageId) -> str:
        try:
            return self.intake.vault.form_secret(image_id)
        except Gone:
            raise FormExpired(_OVER) from None
        except KeyNotMade:
            raise FormRefused("the credential is none of ours: ask for a new form") from None

    def _awaited(self, image_id: ImageId) -> ImageRecord:
        try:
            record = self.metadata.get(image_id)
        except NotFound:
            raise FormExpired(_OVER) from None
        if record.state is not State.AWAITED:
            raise AlreadyExists("the bytes of this image came before, and they stay; for another image, a new form")
        return record


class Arrival:
    """The file of one form under way. Used by one caller at a time; `feed` is cheap, `finish` waits for the disk."""

    def __init__(self, forms: Forms, entry: Entry, terms: FormTerms, awaited: ImageRecord, personal: Personal) -> None:
        self._intake = forms.intake
        self._metadata = forms.metadata
        self._entry = entry
        self._body = entry.body
        self._terms = terms
        self._awaited = awaited
        self._personal = personal

    def feed(self, chunk: bytes) -> None:
        """Take more bytes.

        Raises:
            FormTooLarge, and as `Body.feed`; the caller aborts.
        """
        if self._body.size + len(chunk) > self._terms.most:
            raise FormTooLarge(f"the form takes a file of at most {self._terms.most} bytes")
        self._body.feed(chunk)

    def finish(self) -> ImageRecord:
        """The whole file came: make it durable and hand it over.

        When it returns, key, file, folder, record and job would survive a power cut.

        Raises:
            FormTooSmall, UnknownType, TypeMismatch, TooManyPixels: refused; nothing is kept.
            Expired, Erased, FormExpired: the image died, or the form was let go, meanwhile.
            AlreadyExists, StorageFull: nothing is kept.
        """
        try:
            if self._body.size < self._terms.least:
                raise FormTooSmall(
                    f"the form takes a file of at least {self._terms.least} bytes; this one has {self._body.size}"
                )
            return self._admit(self._body.finish())
        finally:
            self._entry.close()

    def abort(self) -> None:
        """Leave nothing behind. Does nothing after `finish`."""
        self._entry.close()

    def _admit(self, media_type: str) -> ImageRecord:
        personal = replace(self._personal, sha256=self._body.sha256)
        record = replace(
            self._awaited,
            state=State.RECEIVED,
            media_type=str(media_type),
            size=self._body.size,
            sealed=self._intake.vault.seal_personal(self._awaited.id, personal),
        )
        try:
            self._body.commit()
        except Expired:
            # Taken away while it was written: the image died, or the form lapsed.
            self._intake.vault.refuse_gone(record.id)
            raise FormExpired(_OVER) from None
        self._entry.hand_over(record, partial(self._hand_over, record))
        return record

    def _hand_over(self, record: ImageRecord) -> None:
        try:
            self._metadata.fulfil(record, Job(record.id))
        except NotFound:
            self._intake.vault.refuse_gone(record.id)
            raise FormExpired(_OVER) from None
        # An erasure that looked for objects before ours had its name would leave it. It remembered the id before it
        # looked, so either it saw the object, or we see that it was here; the record is its own to remove.
        if self._intake.keys.is_erased(record.id):
            raise Erased("the image was erased")
