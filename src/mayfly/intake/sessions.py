"""The owner's side of the second door: processes that bring images in, and which ones each has under way.

A consumer stores bytes by itself and asks the owner for the rest, within a session. What a session has entered is
nobody's orphan; what it has not entered it cannot hand over. A session that falls silent ends, and so does every
session when the owner does: its consumer opens another one and does again what it had under way.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mayfly.model.address import Address
from mayfly.model.consumption import ConsumerFigures
from mayfly.model.errors import Busy, ClockHeld, Erased, Expired, InFlight, InvalidRequest, LeaseLost
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import MINUTE, Ms, minute_of
from mayfly.model.job import Job
from mayfly.model.journal import Journal, untold
from mayfly.model.lifecycle import State
from mayfly.model.retention import LONGEST_MINUTES
from mayfly.model.stream import Letter
from mayfly.model.terms import Terms
from mayfly.ports.clock import Clock
from mayfly.ports.dead_letters import DeadLetters
from mayfly.ports.key_store import Keys
from mayfly.ports.metadata_store import MetadataStore, Reservation
from mayfly.ports.object_store import ObjectStore

LONGEST_SILENCE_SECONDS = 120.0
MOST_SESSIONS = 64
MOST_UNDER_WAY = 256
"""Images that one session may have under way."""


@dataclass(slots=True)
class Session:
    """One consumer's. `terms` are those of its beginning: settings change only with the owner, and it with them."""

    name: str
    terms: Terms
    heard_at: float
    under_way: set[ImageId] = field(default_factory=set)
    asking: int = 0
    """Requests of it that are being answered: it is not silent meanwhile, however long they take."""
    figures: ConsumerFigures | None = None
    """What it told of itself last."""


class Sessions:
    def __init__(
        self,
        metadata: MetadataStore,
        objects: ObjectStore,
        keys: Keys,
        letters: DeadLetters,
        clock: Clock,
        terms: Callable[[], Terms],
        monotonic: Callable[[], float] = time.monotonic,
        *,
        counted: Callable[[ConsumerFigures], None] = lambda _: None,
        journal: Journal = untold,
    ) -> None:
        """`terms`: those of this moment; raises what `open` raises. `counted` takes the figures of each report."""
        self.metadata = metadata
        self.keys = keys
        self.letters = letters
        self.clock = clock
        self._objects = objects
        self._terms = terms
        self._monotonic = monotonic
        self._counted = counted
        self._journal = journal
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._removing: set[ImageId] = set()

    def open(self) -> Session:
        """Begin a session.

        Raises:
            Busy: too many are open.
            ClockHeld, StorageFull: the terms cannot be told now.
        """
        terms = self._terms()
        with self._lock:
            self._end_the_silent()
            if len(self._sessions) >= MOST_SESSIONS:
                raise Busy(f"{MOST_SESSIONS} consumers are at work already, and no more are served at once")
            session = Session(secrets.token_hex(16), terms, self._monotonic())
            self._sessions[session.name] = session
            return session

    def close(self, name: str) -> None:
        """End a session; what it had under way is so no more. An unknown one is no error."""
        with self._lock:
            self._sessions.pop(name, None)

    @contextmanager
    def heard(self, name: str) -> Iterator[Session]:
        """The session of that name, which is not silent while this lasts.

        Raises:
            LeaseLost: there is none, or no more.
        """
        with self._lock:
            self._end_the_silent()
            session = self._sessions.get(name)
            if session is None:
                raise LeaseLost("the owner knows no such session: open another one, and do again what was under way")
            session.asking += 1
        try:
            yield session
        finally:
            with self._lock:
                session.asking -= 1
                session.heard_at = self._monotonic()

    def report(self, session: Session, figures: ConsumerFigures) -> None:
        """What a consumer tells of itself: kept as long as its session."""
        session.figures = figures
        self._counted(figures)

    def figures(self) -> list[ConsumerFigures]:
        """What the consumers at work told last, each once."""
        with self._lock:
            self._end_the_silent()
            told = [session.figures for session in self._sessions.values() if session.figures is not None]
        # One that opened another session is told of by the newer one.
        return list({figures.consumer: figures for figures in told}.values())

    def ids(self) -> frozenset[ImageId]:
        """What all sessions have under way."""
        with self._lock:
            self._end_the_silent()
            return frozenset().union(*(session.under_way for session in self._sessions.values()))

    @contextmanager
    def alone(self, image_id: ImageId) -> Iterator[bool]:
        """Whether no session has the image under way; none enters it while this lasts.

        The record of a stream comes again under its old id, and stores its bytes at the old address: whoever removes
        what a consumer that died left there must not meet the one that brings it in anew.
        """
        with self._lock:
            free = not any(image_id in session.under_way for session in self._sessions.values())
            if free:
                self._removing.add(image_id)
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._removing.discard(image_id)

    def enter(self, session: Session, image_id: ImageId) -> None:
        """As `ports.under_way.UnderWay.enter`. Another session may have the same image under way: a partition moves
        from one consumer to another, and each finishes what it began. One of them admits it."""
        self._refuse_unbelieved()
        if self.clock.now() >= image_id.expires_at:
            raise Expired("the image has expired")
        self._refuse_erased(image_id)
        with self._lock:
            if image_id in session.under_way:
                raise InFlight("this consumer brings the image in already")
            if image_id in self._removing:
                raise InFlight("what an earlier try left of the image is being removed right now")
            if len(session.under_way) >= MOST_UNDER_WAY:
                raise Busy(f"{MOST_UNDER_WAY} images are under way, and no more are taken at once")
            session.under_way.add(image_id)

    def leave(self, session: Session, image_id: ImageId) -> None:
        with self._lock:
            session.under_way.discard(image_id)

    def reserve(self, session: Session, reservation: Reservation, until: Ms) -> ImageId:
        """As `Admissions.reserve`, for an image that is under way."""
        self._refuse_unentered(session, reservation.image_id)
        return self.metadata.reserve(reservation, until)

    def admit(self, session: Session, record: ImageRecord, reservation: Reservation | None) -> None:
        """As `Admissions.admit`; one that is `received` gets its job.

        Raises:
            LeaseLost: the session does not have it under way, too.
            ClockHeld: the time, or the image's birth, is not to be believed.
            InvalidRequest: no image of a stream reads like this, or it would live longer than it may.
            Erased: it was erased, before or meanwhile; nothing is kept.
        """
        self._refuse_unentered(session, record.id)
        self._refuse_unbelieved(record.id.birth)
        _refuse_strange(record, session.terms)
        self._refuse_erased(record.id)
        self.metadata.admit(record, Job(record.id) if record.state is State.RECEIVED else None, reservation)
        try:
            # An erasure looks for a record before it remembers, and removes after: if it came in between, we remove.
            self._refuse_erased(record.id)
        except Erased:
            self._objects.delete(Address.original(record.id))
            self.metadata.delete(record.id)
            raise
        # The consumer's own journal says more, in its own process: this is for the figures.
        if record.state is State.RECEIVED:
            self._journal("admitted", source=record.source, media_type=record.media_type, size=record.size)
        else:
            self._journal("refused", source=record.source, reason=record.reason)

    def note(self, letter: Letter) -> Letter:
        """As `DeadLetters.note`.

        Raises:
            InvalidRequest: it speaks of an image, or would stay longer than an image may.
        """
        # A consumer has its time from us, and counts on by itself: it may be a little ahead.
        latest = minute_of(Ms(self.clock.now() + (LONGEST_MINUTES + 1) * MINUTE))
        if letter.image_id is not None or letter.at is None or letter.key != str(letter.at) or letter.minute > latest:
            raise InvalidRequest("a letter that is noted tells where a record stood, for at most seven days")
        stands = self.letters.note(letter)
        if stands == letter:
            self._journal("refused", source=Source.KAFKA, reason=letter.reason)
        return stands

    def _refuse_unentered(self, session: Session, image_id: ImageId) -> None:
        with self._lock:
            if image_id not in session.under_way:
                raise LeaseLost("the session does not have this image under way: do it again")

    def _refuse_unbelieved(self, birth: Ms | None = None) -> None:
        now = self.clock.now()
        if self.clock.held() or (birth is not None and birth > now):
            raise ClockHeld("wall time jumped and nobody confirmed it yet: nothing is taken in meanwhile")

    def _refuse_erased(self, image_id: ImageId) -> None:
        if self.keys.is_erased(image_id):
            raise Erased("the image was erased")

    def _end_the_silent(self) -> None:
        """Under the lock."""
        oldest = self._monotonic() - LONGEST_SILENCE_SECONDS
        for name in [name for name, one in self._sessions.items() if not one.asking and one.heard_at < oldest]:
            del self._sessions[name]


def _refuse_strange(record: ImageRecord, terms: Terms) -> None:
    """Raise InvalidRequest for what is not a new image of a stream under these terms."""
    if record.source is not Source.KAFKA or record.origin is None or record.renditions or record.attempts:
        raise InvalidRequest("a consumer hands over new images of its stream, and no others")
    if record.state not in (State.RECEIVED, State.REJECTED):
        raise InvalidRequest(f"a new image is received or rejected, not {record.state}")
    partition = record.origin.partition
    birth, retention = record.id.birth, record.id.retention
    own = ImageId.of_record(
        birth, retention, terms.source_name, partition.topic, partition.number, record.origin.offset
    )
    if own != record.id:
        raise InvalidRequest("the id is not the one that this record has")
    if retention > terms.history.at(birth):
        raise InvalidRequest("the image would outlive the retention that was in force at its birth")
