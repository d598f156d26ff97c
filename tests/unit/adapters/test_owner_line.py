"""The line to the owner: what its callers are told when the owner goes, comes back, or is another."""

import http.client
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from mayfly.adapters.memory.clock import ManualClock
from mayfly.adapters.owner import line as lines
from mayfly.adapters.owner.admissions import OwnerAdmissions
from mayfly.adapters.owner.clock import OwnerClock
from mayfly.adapters.owner.dead_letters import OwnerDeadLetters
from mayfly.adapters.owner.keys import OwnerKeys
from mayfly.adapters.owner.line import OwnerLine
from mayfly.adapters.owner.told import Told
from mayfly.adapters.owner.under_way import OwnerUnderWay
from mayfly.intake.sessions import Sessions
from mayfly.model.errors import KeyDestroyed, KeyNotMade, LeaseLost, MayflyError, Misconfigured, Unavailable
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import MINUTE, WEEK, Minute, Ms, Week, minute_of, week_of
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.retention import History, Retention
from mayfly.model.stream import Coordinates, Partition
from support.owner import START, TERMS, Owner
from support.server import until

HOUR = Retention(60)
PHOTOS = Partition("photos", 0)


def a_record(offset: int = 1, birth: Ms = START) -> ImageRecord:
    image_id = ImageId.of_record(birth, HOUR, "kafka", PHOTOS.topic, PHOTOS.number, offset)
    origin = Coordinates(PHOTOS, offset)
    return ImageRecord(image_id, State.RECEIVED, Source.KAFKA, "image/png", 3, b"sealed", origin=origin)


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    made = Owner(tmp_path)
    made.keys.provide(minute_of(START), Minute(minute_of(START) + 200))
    made.keys.turn_weeks(week_of(START))
    return made


def enter(line: OwnerLine, record: ImageRecord, keys: OwnerKeys | None = None) -> OwnerUnderWay:
    under_way = OwnerUnderWay(line, keys or OwnerKeys(line, OwnerClock(line)))
    under_way.enter(record.id)
    return under_way


def available(line: OwnerLine) -> bool:
    try:
        line.terms()
    except Unavailable:
        return False
    return True


class TestOwnerGone:
    def test_without_an_owner_the_line_does_not_open(self, owner: Owner) -> None:
        with pytest.raises(Unavailable), owner.line(0.05):
            pytest.fail("nobody listens")

    def test_when_it_comes_back_what_was_under_way_is_lost_and_may_be_done_again(self, owner: Owner) -> None:
        record = a_record()
        with ExitStack() as first:
            first.enter_context(owner.up())
            with owner.line() as line:
                enter(line, record)
                first.close()
                with pytest.raises((Unavailable, LeaseLost)):
                    OwnerAdmissions(line).admit(record, Job(record.id))
                with pytest.raises(Unavailable):
                    line.terms()
                with owner.up():
                    until(lambda: available(line), "a new session")
                    with pytest.raises(LeaseLost):
                        OwnerAdmissions(line).admit(record, Job(record.id))
                    enter(line, record)
                    OwnerAdmissions(line).admit(record, Job(record.id))
        assert owner.metadata.get(record.id) == record

    def test_an_id_made_by_the_terms_of_an_older_session_is_not_entered(self, owner: Owner) -> None:
        with ExitStack() as first:
            first.enter_context(owner.up())
            with owner.line() as line:
                assert line.terms() == TERMS
                first.close()
                owner.terms = replace(TERMS, history=History((*TERMS.history.changes, (START, HOUR))))
                until(lambda: not line.told.held and line._session is None, "the end of the session")
                with owner.up():
                    until(lambda: line._session is not None, "a new session")
                    with pytest.raises(LeaseLost):
                        enter(line, a_record())
                    assert line.terms() == owner.terms
                    enter(line, a_record())

    def test_an_owner_that_forgot_the_session_is_asked_for_another(self, owner: Owner) -> None:
        with owner.up() as sessions, owner.line() as line:
            record = a_record()
            enter(line, record)
            assert line._session is not None
            sessions.close(line._session.name)
            with pytest.raises(LeaseLost):
                OwnerAdmissions(line).admit(record, Job(record.id))
            until(lambda: available(line), "a new session")
            assert OwnerDeadLetters(line).letter("k") is None

    def test_an_owner_of_another_version_is_named(self, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lines, "__version__", "0.0.0")
        with owner.up(), pytest.raises(Misconfigured, match="same version"), owner.line():
            pytest.fail("they do not speak")

    def test_an_owner_that_breaks_off_leaves_nobody_waiting(
        self, owner: Owner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with owner.up(), owner.line() as line:

            def cut(_: object) -> object:
                raise http.client.RemoteDisconnected("gone")

            monkeypatch.setattr(http.client.HTTPConnection, "getresponse", cut)
            with pytest.raises((LeaseLost, Unavailable)):
                OwnerDeadLetters(line).letter("k")
            monkeypatch.undo()
            until(lambda: available(line), "a new session")

    def test_an_orderly_end_ends_the_session(self, owner: Owner) -> None:
        with owner.up() as sessions:
            with owner.line() as line:
                enter(line, a_record())
                assert sessions.ids() == {a_record().id}
            assert sessions.ids() == frozenset()
            with pytest.raises(Unavailable):
                OwnerDeadLetters(line).letter("k")


def test_what_many_threads_hand_over_goes_in_few_requests(owner: Owner) -> None:
    asked: list[int] = []

    class Counting:
        def __init__(self, sessions: Sessions) -> None:
            self._sessions = sessions

        def heard(self, name: str) -> object:
            asked.append(1)
            return self._sessions.heard(name)

        def __getattr__(self, name: str) -> object:
            return getattr(self._sessions, name)

    records = [a_record(offset) for offset in range(200)]
    with owner.running(Counting), owner.line() as line, ThreadPoolExecutor(40) as pool:
        admissions = OwnerAdmissions(line)

        def bring_in(record: ImageRecord) -> None:
            under_way = enter(line, record)
            admissions.admit(record, Job(record.id))
            under_way.leave(record.id)

        list(pool.map(bring_in, records))
        assert len(asked) < len(records)
    assert all(owner.metadata.get(record.id) == record for record in records)


class TestKeys:
    def test_what_entering_tells_is_not_asked_again(self, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
        with owner.up(), owner.line() as line:
            keys = OwnerKeys(line, OwnerClock(line))
            record = a_record()
            under_way = enter(line, record, keys)
            monkeypatch.setattr(line, "ask", lambda _: pytest.fail("asked again"))
            assert keys.key(record.id.expiry_minute) == owner.keys.key(record.id.expiry_minute)
            assert not keys.is_erased(record.id)
            monkeypatch.undo()
            under_way.leave(record.id)
            owner.keys.remember_erased(record.id)
            assert keys.is_erased(record.id)

    def test_a_minutes_key_is_let_go_of_when_its_minute_has_ended(self, owner: Owner) -> None:
        clock = ManualClock(START)
        with owner.up(), owner.line() as line:
            keys = OwnerKeys(line, clock)
            minute = Minute(minute_of(START) + 1)
            keys.key(minute)
            clock.set(Ms((minute + 1) * MINUTE))
            keys.forget_ended()
            assert keys._minutes == {}
            owner.keys.destroy([minute])
            with pytest.raises(KeyDestroyed):
                keys.key(minute)

    def test_a_key_is_let_go_of_though_nobody_asks_for_another(self, owner: Owner) -> None:
        assert isinstance(owner.clock, ManualClock)
        with owner.up(), owner.line() as line:
            keys = OwnerKeys(line, OwnerClock(line))
            enter(line, a_record(), keys)
            assert keys._minutes
            owner.clock.set(Ms((a_record().id.expiry_minute + 1) * MINUTE))
            until(lambda: keys._minutes == {}, "the end of the key")

    def test_a_key_is_let_go_of_though_the_owner_is_away(self, owner: Owner) -> None:
        minutes = [0]
        with ExitStack() as stack:
            up = stack.enter_context(ExitStack())
            up.enter_context(owner.up())
            line = stack.enter_context(owner.line())
            line.told = Told(lambda: minutes[0] * 60.0)
            clock = OwnerClock(line)
            keys = OwnerKeys(line, clock)
            record = a_record()
            enter(line, record, keys)
            assert keys._minutes
            up.close()
            minutes[0] = record.id.expiry_minute + 2 - minute_of(START)
            until(lambda: keys._minutes == {}, "the end of the key")

    def test_a_weeks_key_is_asked_once_a_minute_and_so_is_that_there_is_none(
        self, owner: Owner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = ManualClock(START)
        with owner.up(), owner.line() as line:
            keys = OwnerKeys(line, clock)
            week = week_of(START)

            def found(which: int) -> bytes | str:
                try:
                    return keys.week_key(Week(week + which))
                except (KeyDestroyed, KeyNotMade) as fault:
                    return type(fault).__name__

            answers = [found(which) for which in (0, 1, 2, -2)]
            assert answers == [
                owner.keys.week_key(week),
                owner.keys.week_key(Week(week + 1)),
                "KeyNotMade",
                "KeyDestroyed",
            ]
            monkeypatch.setattr(line, "ask", lambda _: pytest.fail("asked again"))
            assert [found(which) for which in (0, 1, 2, -2)] == answers
            monkeypatch.undo()
            owner.keys.turn_weeks(week_of(Ms(START + WEEK)))
            clock.move(MINUTE)
            assert found(2) == owner.keys.week_key(Week(week + 2))


class TestTime:
    def test_what_has_passed_since_the_owner_told_the_time_counts(self) -> None:
        seconds = [100.0]
        told = Told(lambda: seconds[0])
        assert told.now() is None
        told.heard(START, False)
        seconds[0] += 1.5
        assert told.now() == START + 1_500

    def test_before_the_owner_told_it_there_is_no_time(self) -> None:
        line = OwnerLine(lambda: pytest.fail("not opened"))
        with pytest.raises(Unavailable):
            OwnerClock(line).now()

    def test_a_heartbeat_brings_the_owners_hold(self, owner: Owner) -> None:
        assert isinstance(owner.clock, ManualClock)
        with owner.up(), owner.line() as line:
            clock = OwnerClock(line)
            assert not clock.held()
            owner.clock.hold()
            until(clock.held, "the hold to be told")


def test_every_error_of_ours_comes_over_the_line_as_itself() -> None:
    known: list[type[MayflyError]] = [MayflyError]
    for kind in known:
        # Those of the tree itself: a room may have kinds of its own, which no owner tells.
        known += [below for below in kind.__subclasses__() if below.__module__ == kind.__module__]
        told = lines._fault({"fault": kind.__name__, "detail": "said"})
        assert (type(told), str(told)) == (kind, "said")
    assert type(lines._fault({"fault": "Path", "detail": "said"})) is Unavailable
