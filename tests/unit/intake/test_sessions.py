"""The owner's side of the second door: who has what under way, and what may be handed over."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from mayfly.adapters.memory.dead_letters import MemoryDeadLetters
from mayfly.intake import sessions as rules
from mayfly.intake.sessions import Session, Sessions
from mayfly.model.address import Address
from mayfly.model.errors import (
    AlreadyExists,
    Busy,
    ClockHeld,
    Erased,
    Expired,
    InFlight,
    InvalidRequest,
    LeaseLost,
    NotFound,
)
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import MINUTE, Minute, Ms, minute_of
from mayfly.model.lifecycle import State
from mayfly.model.retention import LONGEST_MINUTES, History, Retention
from mayfly.model.stream import Coordinates, Letter, Partition
from mayfly.model.terms import Terms
from mayfly.ports.metadata_store import Reservation
from mayfly.retention.erase import Erasure
from mayfly.retention.reconcile import Reconcile
from support.house import START, Failing, House

HOUR = Retention(60)
TERMS = Terms("kafka", History(((START, HOUR),)), 1_000, 1_000, {})
PHOTOS = Partition("photos", 0)
KEY = bytes(range(32))


class Owner:
    """A house, and its sessions by a clock that only the test moves."""

    def __init__(self) -> None:
        self.house = House()
        self.seconds = 0.0
        self.letters = MemoryDeadLetters(self.house.metadata)
        self.sessions = self.sessions_over(self.house.metadata)

    def sessions_over(self, metadata: object) -> Sessions:
        house = self.house
        return Sessions(
            metadata,  # type: ignore[arg-type]
            house.objects,
            house.keys,
            self.letters,
            house.clock,
            lambda: TERMS,
            lambda: self.seconds,
            journal=house.told,
        )

    def record(
        self, offset: int = 1, *, birth: Ms = START, retention: Retention = HOUR, **fields: object
    ) -> ImageRecord:
        image_id = ImageId.of_record(birth, retention, "kafka", PHOTOS.topic, PHOTOS.number, offset)
        values: dict[str, object] = {"origin": Coordinates(PHOTOS, offset)} | fields
        return replace(ImageRecord(image_id, State.RECEIVED, Source.KAFKA, "image/png", 3, b"sealed"), **values)  # type: ignore[arg-type]

    def entered(self, record: ImageRecord) -> Session:
        session = self.sessions.open()
        self.sessions.enter(session, record.id)
        return session


@pytest.fixture
def owner() -> Owner:
    return Owner()


class TestSessions:
    def test_a_session_is_known_by_its_name_until_it_is_closed(self, owner: Owner) -> None:
        session = owner.sessions.open()
        with owner.sessions.heard(session.name) as found:
            assert (found, found.terms) == (session, TERMS)
        owner.sessions.close(session.name)
        owner.sessions.close(session.name)
        with pytest.raises(LeaseLost), owner.sessions.heard(session.name):
            pass

    def test_one_that_falls_silent_ends_and_what_it_had_under_way_is_an_orphan(self, owner: Owner) -> None:
        record = owner.record()
        session = owner.entered(record)
        owner.seconds += rules.LONGEST_SILENCE_SECONDS
        assert owner.sessions.ids() == {record.id}
        owner.seconds += 1
        assert owner.sessions.ids() == frozenset()
        with pytest.raises(LeaseLost), owner.sessions.heard(session.name):
            pass

    def test_one_that_is_heard_now_and_then_does_not_end(self, owner: Owner) -> None:
        session = owner.sessions.open()
        for _ in range(4):
            owner.seconds += rules.LONGEST_SILENCE_SECONDS - 1
            with owner.sessions.heard(session.name):
                pass

    def test_one_whose_question_takes_long_is_not_silent(self, owner: Owner) -> None:
        record = owner.record()
        session = owner.entered(record)
        with owner.sessions.heard(session.name):
            owner.seconds += 2 * rules.LONGEST_SILENCE_SECONDS
            assert owner.sessions.ids() == {record.id}
        owner.seconds += rules.LONGEST_SILENCE_SECONDS
        assert owner.sessions.ids() == {record.id}

    def test_they_are_bounded_and_the_silent_make_room(self, owner: Owner) -> None:
        for _ in range(rules.MOST_SESSIONS):
            owner.sessions.open()
        with pytest.raises(Busy):
            owner.sessions.open()
        owner.seconds += rules.LONGEST_SILENCE_SECONDS + 1
        owner.sessions.open()


class TestUnderWay:
    def test_what_any_session_entered_is_in_flight_until_it_leaves(self, owner: Owner) -> None:
        first, second = owner.record(1), owner.record(2)
        one, other = owner.entered(first), owner.entered(second)
        assert owner.sessions.ids() == {first.id, second.id}
        owner.sessions.leave(one, first.id)
        owner.sessions.leave(one, first.id)
        owner.sessions.leave(one, second.id)
        assert owner.sessions.ids() == {second.id}
        owner.sessions.close(other.name)
        assert owner.sessions.ids() == frozenset()

    def test_a_session_enters_an_image_once_and_another_may_enter_it_too(self, owner: Owner) -> None:
        record = owner.record()
        session = owner.entered(record)
        with pytest.raises(InFlight):
            owner.sessions.enter(session, record.id)
        other = owner.entered(record)
        owner.sessions.leave(session, record.id)
        assert owner.sessions.ids() == {record.id}
        owner.sessions.leave(other, record.id)
        assert owner.sessions.ids() == frozenset()

    def test_they_are_bounded(self, owner: Owner) -> None:
        session = owner.sessions.open()
        for offset in range(rules.MOST_UNDER_WAY):
            owner.sessions.enter(session, owner.record(offset).id)
        with pytest.raises(Busy):
            owner.sessions.enter(session, owner.record(rules.MOST_UNDER_WAY).id)

    def test_what_is_due_or_erased_is_not_entered(self, owner: Owner) -> None:
        session, record = owner.sessions.open(), owner.record()
        owner.house.keys.remember_erased(record.id)
        with pytest.raises(Erased):
            owner.sessions.enter(session, record.id)
        owner.house.clock.set(record.id.expires_at)
        with pytest.raises(Expired):
            owner.sessions.enter(session, record.id)
        assert owner.sessions.ids() == frozenset()

    def test_a_time_that_nobody_believes_lets_nothing_be_due(self, owner: Owner) -> None:
        session, record = owner.sessions.open(), owner.record()
        owner.house.clock.set(record.id.expires_at)
        owner.house.clock.hold()
        with pytest.raises(ClockHeld):
            owner.sessions.enter(session, record.id)


class TestAdmitting:
    def test_an_image_of_the_stream_is_recorded_with_its_job(self, owner: Owner) -> None:
        record = owner.record()
        owner.sessions.admit(owner.entered(record), record, None)
        assert owner.house.metadata.get(record.id) == record
        assert owner.house.queue.depth() == 1

    def test_one_that_is_rejected_has_a_letter_and_no_job(self, owner: Owner) -> None:
        record = owner.record(state=State.REJECTED, reason="unknown-type")
        owner.sessions.admit(owner.entered(record), record, None)
        assert owner.house.queue.depth() == 0
        assert [letter.key for letter in owner.letters.unpublished(10)] == ["photos/0/1"]

    def test_what_the_session_did_not_enter_is_not_taken(self, owner: Owner) -> None:
        record = owner.record()
        owner.entered(record)
        other = owner.sessions.open()
        with pytest.raises(LeaseLost):
            owner.sessions.admit(other, record, None)
        with pytest.raises(LeaseLost):
            owner.sessions.reserve(other, Reservation(KEY, record.id), Ms(START + MINUTE))
        with pytest.raises(NotFound):
            owner.house.metadata.get(record.id)

    def test_of_two_sessions_with_one_image_one_admits_it(self, owner: Owner) -> None:
        record = owner.record()
        one, other = owner.entered(record), owner.entered(record)
        owner.sessions.admit(one, record, None)
        with pytest.raises(AlreadyExists):
            owner.sessions.admit(other, record, None)

    @pytest.mark.parametrize("because", ["held", "birth"])
    def test_nothing_is_taken_by_a_time_that_nobody_believes(self, owner: Owner, because: str) -> None:
        record = owner.record(birth=START if because == "held" else Ms(START + 1))
        session = owner.entered(record)
        if because == "held":
            owner.house.clock.hold()
        with pytest.raises(ClockHeld):
            owner.sessions.admit(session, record, None)

    @pytest.mark.parametrize(
        "strange",
        [
            lambda owner: owner.record(source=Source.HTTP),
            lambda owner: owner.record(origin=None),
            lambda owner: owner.record(origin=Coordinates(PHOTOS, 2)),
            lambda owner: owner.record(state=State.PROCESSED),
            lambda owner: owner.record(attempts=1),
            lambda owner: owner.record(retention=Retention(61)),
        ],
        ids=["of HTTP", "from nowhere", "from elsewhere", "processed", "tried", "longer than its retention"],
    )
    def test_only_new_images_of_the_stream_are_taken_and_none_for_longer_than_its_retention(
        self, owner: Owner, strange: Callable[[Owner], ImageRecord]
    ) -> None:
        record = strange(owner)
        with pytest.raises(InvalidRequest):
            owner.sessions.admit(owner.entered(record), record, None)
        with pytest.raises(NotFound):
            owner.house.metadata.get(record.id)

    def test_a_shorter_life_than_the_retention_is_taken(self, owner: Owner) -> None:
        record = owner.record(retention=Retention(5))
        owner.sessions.admit(owner.entered(record), record, None)
        assert owner.house.metadata.get(record.id) == record


class TestErasureMeanwhile:
    def test_what_was_erased_before_is_refused(self, owner: Owner) -> None:
        record = owner.record()
        session = owner.entered(record)
        owner.house.keys.remember_erased(record.id)
        with pytest.raises(Erased):
            owner.sessions.admit(session, record, None)
        with pytest.raises(NotFound):
            owner.house.metadata.get(record.id)

    def test_what_is_erased_while_it_is_admitted_is_removed_again(self, owner: Owner) -> None:
        """The erasure of a copy that another consumer had admitted looks for records just before ours is written."""
        record = owner.record()
        erasing = _ErasedWhileAdmitted(owner)
        owner.sessions = owner.sessions_over(erasing)
        session = owner.entered(record)
        owner.house.put(Address.original(record.id), b"body")
        with pytest.raises(Erased):
            owner.sessions.admit(session, record, None)
        with pytest.raises(NotFound):
            owner.house.metadata.get(record.id)
        assert owner.house.standing() == set()

    def test_an_image_of_a_stream_is_erased_with_its_letter(self, owner: Owner) -> None:
        record = owner.record(state=State.REJECTED, reason="unknown-type")
        owner.house.put(Address.original(record.id), b"body")
        owner.sessions.admit(owner.entered(record), record, None)
        house = owner.house
        Erasure(house.objects, house.metadata, house.keys, house.told).erase(record.id)
        assert (house.standing(), owner.letters.unpublished(10)) == (set(), [])
        assert owner.letters.letter("photos/0/1") is None


class _ErasedWhileAdmitted:
    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    def admit(self, record: ImageRecord, *others: object) -> None:
        self._owner.house.keys.remember_erased(record.id)
        self._owner.house.metadata.admit(record, *others)  # type: ignore[arg-type]

    def delete(self, image_id: ImageId) -> bool:
        return self._owner.house.metadata.delete(image_id)


class TestLetters:
    def test_a_letter_without_an_image_is_noted(self, owner: Owner) -> None:
        letter = Letter.of_record(Coordinates(PHOTOS, 4), None, "too-large", START, Minute(minute_of(START) + 60))
        assert owner.sessions.note(letter) == letter == owner.letters.letter("photos/0/4")

    def test_a_consumer_whose_time_is_a_little_ahead_may_note_one(self, owner: Owner) -> None:
        latest = Minute(minute_of(START) + LONGEST_MINUTES + 1)
        letter = Letter.of_record(Coordinates(PHOTOS, 4), None, "no-timestamp", START, latest)
        assert owner.sessions.note(letter) == letter

    @pytest.mark.parametrize(
        "strange",
        [
            {"image_id": ImageId.new(START, HOUR)},
            {"at": None},
            {"key": "photos/0/5"},
            {"minute": Minute(minute_of(START) + LONGEST_MINUTES + 2)},
        ],
        ids=["of an image", "from nowhere", "another's key", "beyond seven days"],
    )
    def test_no_other_letter_is(self, owner: Owner, strange: dict[str, object]) -> None:
        letter = Letter.of_record(Coordinates(PHOTOS, 4), None, "too-large", START, Minute(minute_of(START) + 60))
        with pytest.raises(InvalidRequest):
            owner.sessions.note(replace(letter, **strange))  # type: ignore[arg-type]


class TestFigures:
    def test_what_is_taken_or_refused_is_counted_once_and_not_told_again(self, owner: Owner) -> None:
        taken, refused = owner.record(), owner.record(2, state=State.REJECTED, reason="unknown-type")
        one, other = owner.entered(taken), owner.entered(taken)
        owner.sessions.admit(one, taken, None)
        with pytest.raises(AlreadyExists):
            owner.sessions.admit(other, taken, None)
        owner.sessions.admit(owner.entered(refused), refused, None)
        letter = Letter.of_record(Coordinates(PHOTOS, 4), None, "too-large", START, Minute(minute_of(START) + 60))
        for died_at in (START, Ms(START + 1)):
            owner.sessions.note(replace(letter, died_at=died_at))
        assert owner.house.told.entries == [
            ("admitted", {"source": Source.KAFKA, "media_type": "image/png", "size": 3}),
            ("refused", {"source": Source.KAFKA, "reason": "unknown-type"}),
            ("refused", {"source": Source.KAFKA, "reason": "too-large"}),
        ]
        assert owner.house.told.lines == [], "the consumer's own log has them"


class TestReconciling:
    def reconcile(self, owner: Owner, metadata: object = None) -> int:
        house = owner.house
        return (
            Reconcile(
                house.objects,
                metadata or house.metadata,  # type: ignore[arg-type]
                house.keys,
                owner.sessions.ids,
                house.told,
                alone=owner.sessions.alone,
            )
            .run()
            .orphans
        )

    def test_what_a_consumer_has_stored_is_no_orphan_while_its_session_lasts(self, owner: Owner) -> None:
        record = owner.record()
        session = owner.entered(record)
        owner.house.put(Address.original(record.id), b"body")
        assert self.reconcile(owner) == 0
        owner.sessions.close(session.name)
        assert self.reconcile(owner) == 1

    def test_a_record_that_comes_again_while_its_remains_are_looked_at_keeps_its_bytes(self, owner: Owner) -> None:
        """Seen as an orphan; then entered, stored anew and admitted before it is removed."""
        record = owner.record()
        owner.house.put(Address.original(record.id), b"left")
        coming = _ComesAgain(owner, record)
        assert self.reconcile(owner, coming) == 0
        assert owner.house.standing() == {Address.original(record.id).file_name}

    def test_a_record_that_comes_again_waits_until_its_remains_are_gone(self, owner: Owner) -> None:
        record = owner.record()
        session = owner.sessions.open()
        with owner.sessions.alone(record.id) as alone:
            assert alone
            with pytest.raises(InFlight):
                owner.sessions.enter(session, record.id)
        owner.sessions.enter(session, record.id)
        with owner.sessions.alone(record.id) as alone:
            assert not alone


class _ComesAgain:
    """A metadata store: once its records were listed, a consumer begins to bring the image in."""

    def __init__(self, owner: Owner, record: ImageRecord) -> None:
        self._owner = owner
        self._record = record

    def records(self, minute: Minute) -> list[ImageRecord]:
        found = self._owner.house.metadata.records(minute)
        self._owner.entered(self._record)
        self._owner.house.put(Address.original(self._record.id), b"anew")
        return found

    def get(self, image_id: ImageId) -> ImageRecord:
        return self._owner.house.metadata.get(image_id)


def test_a_full_disk_keeps_the_image_under_way(owner: Owner) -> None:
    record = owner.record()
    full = Failing(owner.house.metadata, at=1, fault=Busy("no room"), names=frozenset({"admit"}))
    owner.sessions = owner.sessions_over(full)
    session = owner.entered(record)
    with pytest.raises(Busy):
        owner.sessions.admit(session, record, None)
    owner.sessions.admit(session, record, None)
    assert owner.sessions.ids() == {record.id}
