"""A consumer's session with a real owner: what it hands over is processed, and outlives what becomes of the owner."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from mayfly.adapters.local.claim_source import LocalClaimSource
from mayfly.adapters.local.object_store import LocalObjectStore
from mayfly.adapters.local.owner_socket import short_path
from mayfly.adapters.owner.admissions import OwnerAdmissions
from mayfly.adapters.owner.clock import OwnerClock
from mayfly.adapters.owner.dead_letters import OwnerDeadLetters
from mayfly.adapters.owner.keys import OwnerKeys
from mayfly.adapters.owner.line import OwnerLine
from mayfly.adapters.owner.under_way import OwnerUnderWay
from mayfly.intake.intake import Intake
from mayfly.intake.stream import Buried, Kept, Outcome, Passed, StreamDoor
from mayfly.model.errors import LeaseLost, Unavailable
from mayfly.model.instant import Ms
from mayfly.model.journal import untold
from mayfly.model.stream import Coordinates, Partition, StreamRecord
from mayfly.vault.vault import Vault
from support.server import PATIENCE_SECONDS, MakeServer, Server, until

Take = Callable[[StreamRecord], Outcome]


@contextmanager
def consumer(server: Server) -> Iterator[Take]:
    """A consumer without a topic: the same parts, and records by hand."""
    line = OwnerLine(partial(short_path, server.data))
    try:
        line.open(PATIENCE_SECONDS)
        clock = OwnerClock(line)
        keys = OwnerKeys(line, clock)
        objects = LocalObjectStore(server.data / "objects", clock)
        vault = Vault(objects, keys, clock)
        intake = Intake(vault, objects, OwnerAdmissions(line), keys, clock, OwnerUnderWay(line, keys), untold)
        yield StreamDoor(intake, OwnerDeadLetters(line), line.terms, LocalClaimSource([])).take
    finally:
        line.close()


def a_record(offset: int, value: bytes, born: Ms) -> StreamRecord:
    return StreamRecord(Coordinates(Partition("photos", 0), offset), 1, born, (), value)


@pytest.fixture
def born() -> Ms:
    return Ms(time.time_ns() // 1_000_000 - 5_000)


def kept(outcome: Outcome) -> Kept:
    assert isinstance(outcome, Kept), outcome
    return outcome


def test_what_was_handed_over_is_processed_met_again_and_erased_for_good(
    make_server: MakeServer, small: bytes, born: Ms
) -> None:
    server = make_server(options=("--workers", "1")).start()
    with consumer(server) as take:
        first = kept(take(a_record(1, small, born)))
        buried = take(a_record(2, b"no image at all", born))
        assert isinstance(buried, Buried)
        assert take(a_record(2, b"no image at all", born)) == buried
        image = server.until_state(str(first.image_id), "processed")
        assert (first.created, image["source"]) == (True, "kafka")
        assert server.get(f"/v1/images/{first.image_id}/original").content == small
        assert kept(take(a_record(1, small, born))) == Kept(first.image_id, created=False)
        assert server.request("DELETE", f"/v1/images/{first.image_id}").status_code == 204
        assert take(a_record(1, small, born)) == Passed("erased")
    rejected = server.image(str(buried.letter.image_id))
    assert (rejected["state"], rejected["reason"]) == ("rejected", "unknown-type")
    assert [name.partition(".")[0] for name in server.objects()] == [rejected["id"]]
    (letter,) = server.get("/v1/deadletters").json()["items"]
    assert letter["key"] == "photos/0/2"


def test_an_owner_that_is_killed_loses_nothing_and_a_record_lives_by_the_retention_of_its_birth(
    make_server: MakeServer, small: bytes, born: Ms
) -> None:
    server = make_server(options=("--workers", "1")).start()
    with consumer(server) as take:
        first = kept(take(a_record(1, small, born)))
        server.kill()
        with pytest.raises((Unavailable, LeaseLost)):
            take(a_record(2, small, born))
        server.config = 'kafka_retention = "PT1H"'
        server.start()
        second = kept(until(lambda: taken(take, a_record(2, small, born)), "a new session"))
        assert second.created
        assert kept(take(a_record(1, small, born))) == Kept(first.image_id, created=False)
        now = Ms(time.time_ns() // 1_000_000)
        after = kept(until(lambda: taken(take, a_record(3, small, now)), "its turn"))
    for found in (first, second, after):
        server.until_state(str(found.image_id), "processed")
    assert [found.image_id.retention.minutes for found in (first, second, after)] == [10_080, 10_080, 60]


def taken(take: Take, record: StreamRecord) -> Outcome | None:
    """None: not now."""
    try:
        outcome = take(record)
    except (Unavailable, LeaseLost):
        return None
    return outcome if isinstance(outcome, Kept | Passed | Buried) else None
