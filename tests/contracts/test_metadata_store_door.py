"""What `ports.metadata_store.Admissions` promises, of a door that is a process of its own: the very tests of the store
(see `test_metadata_store`), with these verbs asked over a real socket of the owner's real application."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contracts import test_metadata_store as suite
from mayfly.adapters.local.database import Database
from mayfly.adapters.local.dead_letters import SqliteDeadLetters
from mayfly.adapters.local.metadata_store import SqliteMetadataStore
from mayfly.adapters.local.work_queue import SqliteWorkQueue
from mayfly.adapters.memory.clock import ManualClock
from mayfly.adapters.owner.admissions import OwnerAdmissions
from mayfly.adapters.owner.clock import OwnerClock
from mayfly.adapters.owner.keys import OwnerKeys
from mayfly.adapters.owner.under_way import OwnerUnderWay
from mayfly.model.errors import InFlight, InvalidRequest
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import Minute, Ms, minute_of
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention
from mayfly.model.stream import Coordinates, Partition
from mayfly.ports.metadata_store import MetadataStore, Reservation
from support.owner import START, Owner

if TYPE_CHECKING:
    from contracts.conftest import HandOver, Subject

PHOTOS = Partition("photos", 0)


class Asked:
    """The store as its owner has it, but for what a door asks: that goes over the line, for an image under way."""

    def __init__(self, store: MetadataStore, admissions: OwnerAdmissions, under_way: OwnerUnderWay) -> None:
        self._store = store
        self._admissions = admissions
        self._under_way = under_way

    def reserve(self, reservation: Reservation, until: Ms) -> ImageId:
        self._enter(reservation.image_id)
        return self._admissions.reserve(reservation, until)

    def release(self, reservation: Reservation) -> None:
        self._admissions.release(reservation)

    def admit(self, record: ImageRecord, job: Job | None, reservation: Reservation | None = None) -> None:
        self._enter(record.id)
        self._admissions.admit(record, job, reservation)

    def get(self, image_id: ImageId) -> ImageRecord:
        return self._admissions.get(image_id)

    def _enter(self, image_id: ImageId) -> None:
        with suppress(InFlight):
            self._under_way.enter(image_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _OverTheSocket:
    @pytest.fixture
    def an_image(self, clock: ManualClock) -> Callable[..., ImageRecord]:
        """Images of a stream, each of a record of its own."""
        offsets = itertools.count()

        def make(*, minutes: int = 60, birth: Ms | None = None, **fields: Any) -> ImageRecord:
            offset = next(offsets)
            born = clock.now() if birth is None else birth
            image_id = ImageId.of_record(born, Retention(minutes), "kafka", PHOTOS.topic, PHOTOS.number, offset)
            values: dict[str, Any] = {"state": State.RECEIVED, "media_type": "image/png", "size": 3, "sealed": b"s"}
            origin = Coordinates(PHOTOS, offset)
            return ImageRecord(image_id, **(values | fields | {"source": Source.KAFKA, "origin": origin}))

        return make

    @pytest.fixture
    def hand_over(self, tmp_path: Path, clock: ManualClock) -> "Iterator[Subject[HandOver]]":
        from contracts.conftest import HandOver, Subject

        stack = ExitStack()

        def open_again(_: HandOver | None) -> HandOver:
            stack.close()
            database = Database(tmp_path / "mayfly.db")
            stack.callback(database.close)
            store = SqliteMetadataStore(database, clock)
            owner = Owner(tmp_path, clock, store, SqliteDeadLetters(database, clock))
            owner.keys.provide(minute_of(START), Minute(minute_of(START) + 200))
            stack.enter_context(owner.up())
            line = stack.enter_context(owner.line())
            under_way = OwnerUnderWay(line, OwnerKeys(line, OwnerClock(line)))
            asked: Any = Asked(store, OwnerAdmissions(line), under_way)
            return HandOver(asked, SqliteWorkQueue(database, clock))

        yield Subject(open_again(None), open_again)
        stack.close()


class TestReserving(_OverTheSocket, suite.TestReserving):
    pass


class TestReleasing(_OverTheSocket, suite.TestReleasing):
    pass


class TestAdmitting(_OverTheSocket, suite.TestAdmitting):
    def test_every_field_survives(self, hand_over: "Subject[HandOver]", an_image: Callable[..., ImageRecord]) -> None:
        """Those that a new image may have."""
        record = an_image(
            state=State.REJECTED,
            media_type="application/octet-stream",
            size=10 * 2**20,
            sealed=bytes(range(256)),
            labels={"camera": "Zürich 'nord' \u2603", "empty": ""},
            reason="unknown-type",
        )
        hand_over.opened.metadata.admit(record, None)
        assert hand_over.opened.metadata.get(record.id) == record
        assert hand_over.reopen().metadata.records(record.id.expiry_minute) == [record]

    def test_a_job_that_the_owner_would_not_make_is_refused(
        self, hand_over: "Subject[HandOver]", an_image: Callable[..., ImageRecord]
    ) -> None:
        rejected = an_image(state=State.REJECTED, reason="unknown-type")
        for record, job in ((an_image(), None), (rejected, Job(rejected.id))):
            with pytest.raises(InvalidRequest):
                hand_over.opened.metadata.admit(record, job)


class TestGetting(_OverTheSocket, suite.TestGetting):
    pass
