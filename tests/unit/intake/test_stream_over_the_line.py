"""The second door in a process of its own, as far as it can tell: all but the objects is asked of an owner."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mayfly.adapters.memory.claim_source import MemoryClaimSource
from mayfly.adapters.memory.dead_letters import MemoryDeadLetters
from mayfly.adapters.owner.admissions import OwnerAdmissions
from mayfly.adapters.owner.clock import OwnerClock
from mayfly.adapters.owner.dead_letters import OwnerDeadLetters
from mayfly.adapters.owner.keys import OwnerKeys
from mayfly.adapters.owner.line import OwnerLine
from mayfly.adapters.owner.under_way import OwnerUnderWay
from mayfly.intake.intake import Intake
from mayfly.intake.sessions import Sessions
from mayfly.intake.stream import Buried, Kept, Outcome, Passed, StreamDoor
from mayfly.model.claim import ClaimPrefix
from mayfly.model.errors import InFlight, LeaseLost, Unavailable
from mayfly.model.journal import untold
from mayfly.model.lifecycle import State
from mayfly.model.retention import History, Retention
from mayfly.model.stream import StreamRecord
from mayfly.vault.vault import Vault
from support.landing import GIF, OTHER, POISON, Landing
from support.owner import Owner
from support.server import until

EVENT = {"ce_source": "/cams/7", "ce_id": "1"}


@dataclass
class Consumer:
    """One consumer's door, and its line."""

    line: OwnerLine
    door: StreamDoor

    def take(self, record: StreamRecord) -> Outcome:
        return self.door.take(record)

    def take_in_the_end(self, record: StreamRecord) -> Outcome:
        """As a consumer does: again, whenever it is told to come again."""
        outcomes: list[Outcome] = []

        def taken() -> bool:
            try:
                outcomes.append(self.door.take(record))
            except (Unavailable, InFlight, LeaseLost):
                return False
            return True

        until(taken, "the record is taken")
        return outcomes[0]


@dataclass
class Shore:
    landing: Landing
    owner: Owner

    @contextmanager
    def consumer(self) -> Iterator[Consumer]:
        with self.owner.line() as line:
            clock = OwnerClock(line)
            keys = OwnerKeys(line, clock)
            objects = self.landing.house.objects
            intake = Intake(
                Vault(objects, keys, clock),
                objects,
                OwnerAdmissions(line),
                keys,
                clock,
                OwnerUnderWay(line, keys),
                untold,
            )
            yield Consumer(line, StreamDoor(intake, OwnerDeadLetters(line), line.terms, self.landing.claims))


@pytest.fixture
def shore(tmp_path: Path) -> Shore:
    landing = Landing(claims=MemoryClaimSource([ClaimPrefix(Path("/in"))]))
    house = landing.house
    owner = Owner(
        tmp_path,
        house.clock,
        house.metadata,
        MemoryDeadLetters(house.metadata),
        house.keys,
        house.objects,
        landing.terms,
    )
    return Shore(landing, owner)


def records_of(landing: Landing) -> list[StreamRecord]:
    """A good one, one that points to a file, poison, nothing, and an event's other bytes."""
    landing.claims.put("/in/a.gif", GIF)
    return [
        landing.record(headers=EVENT, offset=1),
        landing.claim("/in/a.gif", offset=2),
        landing.record(POISON, offset=3),
        landing.record(None, offset=4),
        landing.record(OTHER, headers=EVENT, offset=5),
    ]


def all_there(landing: Landing, records: list[StreamRecord]) -> None:
    ids = [landing.id_of(record) for record in records]
    states = {image_id: row.record.state for image_id, row in landing.house.metadata.tables.images.items()}
    rejected, received = State.REJECTED, State.RECEIVED
    assert states == {ids[0]: received, ids[1]: received, ids[2]: rejected, ids[4]: rejected}
    assert [landing.original(each) for each in (*ids[:3], ids[4])] == [GIF, GIF, POISON, OTHER]
    assert set(landing.house.metadata.tables.jobs) == set(ids[:2])
    assert landing.claims.files == {}
    assert {letter.key for letter in landing.letters.unpublished(10)} == {f"photos/2/{n}" for n in (3, 4, 5)}


def test_every_record_comes_to_the_same_end_as_in_the_owner(shore: Shore) -> None:
    records = records_of(shore.landing)
    with shore.owner.up() as sessions, shore.consumer() as consumer:
        for created in (True, False):
            outcomes = [consumer.take(record) for record in records]
            assert outcomes[:2] == [Kept(shore.landing.id_of(record), created) for record in records[:2]]
            assert all(isinstance(outcome, Buried) for outcome in outcomes[2:])
        until(lambda: sessions.ids() == frozenset(), "nothing is under way")
        shore.landing.erase(shore.landing.id_of(records[1]))
        assert consumer.take(records[1]) == Passed("erased")


def test_of_two_consumers_that_take_everything_at_once_each_image_is_one(shore: Shore) -> None:
    records = records_of(shore.landing) * 2
    with ExitStack() as open_things:
        open_things.enter_context(shore.owner.up())
        consumers = [open_things.enter_context(shore.consumer()) for _ in range(2)]
        crowd = open_things.enter_context(ThreadPoolExecutor(8))
        first = consumers[0].take_in_the_end(records[0])
        assert first == Kept(shore.landing.id_of(records[0]), created=True)
        tries = [crowd.submit(consumers[place % 2].take_in_the_end, record) for place, record in enumerate(records)]
        for each in tries:
            each.result(60)
    all_there(shore.landing, records[:5])


class _Dying:
    """Stands before the sessions: at the n-th call of a name the session ends, before the call or after it."""

    def __init__(self, sessions: Sessions, name: str, *, after: bool) -> None:
        self._sessions = sessions
        self._name = name
        self._after = after
        self.died = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._sessions, name)
        if name != self._name or self.died:
            return found

        def call(session: Any, *arguments: Any) -> Any:
            self.died = True
            if not self._after:
                self._sessions.close(session.name)
                session.under_way.clear()
            try:
                return found(session, *arguments)
            finally:
                self._sessions.close(session.name)
                session.under_way.clear()

        return call


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ["enter", "reserve", "admit"])
def test_a_session_that_ends_anywhere_makes_nothing_twice_and_loses_nothing(
    shore: Shore, name: str, after: bool
) -> None:
    records = records_of(shore.landing)
    dying: list[_Dying] = []

    def between(sessions: Sessions) -> _Dying:
        dying.append(_Dying(sessions, name, after=after))
        return dying[0]

    with shore.owner.running(between), shore.consumer() as consumer:
        for record in records:
            consumer.take_in_the_end(record)
    assert dying[0].died
    all_there(shore.landing, records)


def test_an_owner_that_starts_anew_with_another_retention_is_asked_for_its_terms(shore: Shore) -> None:
    landing = shore.landing
    with ExitStack() as open_things:
        first_run = open_things.enter_context(ExitStack())
        first_run.enter_context(shore.owner.up())
        consumer = open_things.enter_context(shore.consumer())
        old = landing.record(offset=1)
        assert consumer.take(old) == Kept(landing.id_of(old), created=True)
        first_run.close()
        with pytest.raises((Unavailable, LeaseLost)):
            consumer.take(landing.record(offset=2))
        landing.house.clock.move(60_000)
        history = History((*landing.terms.history.changes, (landing.now, Retention(60))))
        shore.owner.terms = replace(landing.terms, history=history)
        open_things.enter_context(shore.owner.up())
        new = landing.record(offset=2)
        assert consumer.take_in_the_end(new) == Kept(landing.id_of(new, Retention(60)), created=True)
        assert consumer.take(old) == Kept(landing.id_of(old), created=False)
