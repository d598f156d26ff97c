"""The second door over the stores of one machine: the same outcomes, and little memory."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mayfly.adapters.local.claim_source import LocalClaimSource
from mayfly.adapters.local.database import Database
from mayfly.adapters.local.dead_letters import SqliteDeadLetters
from mayfly.adapters.local.metadata_store import SqliteMetadataStore
from mayfly.adapters.local.object_store import LocalObjectStore
from mayfly.intake.stream import Buried, Kept
from mayfly.model.address import Address
from mayfly.model.claim import ClaimPrefix
from mayfly.model.errors import StorageFull
from mayfly.model.lifecycle import State
from mayfly.ports.dead_letters import LettersWanted
from mayfly.vault.vault import Vault
from support.house import Crash, Failing
from support.landing import GIF, OTHER, POISON, TERMS, Landing, a_house

MEBIBYTE = 1 << 20
EVENT = {"ce_source": "/cams/7", "ce_id": "1"}


class Ashore(Landing):
    """Over SQLite and files."""

    def __init__(self, folder: Path, database: Database) -> None:
        house = a_house()
        self.files = folder / "in"
        self.files.mkdir()
        self.metadata = SqliteMetadataStore(database, house.clock)
        self.dead = SqliteDeadLetters(database, house.clock)
        self.objects = LocalObjectStore(folder / "objects", house.clock)
        self.vault = Vault(self.objects, house.keys, house.clock)
        stores = {
            "metadata": self.metadata,
            "letters": self.dead,
            "objects": self.objects,
            "claims": LocalClaimSource([ClaimPrefix(self.files)]),
        }
        super().__init__(house, replace(TERMS, max_bytes=10 * MEBIBYTE), stores)


@pytest.fixture
def ashore(tmp_path: Path) -> Iterator[Ashore]:
    database = Database(tmp_path / "mayfly.db")
    yield Ashore(tmp_path, database)
    database.close()


def test_every_kind_of_record_comes_to_its_end_once(ashore: Ashore) -> None:
    (ashore.files / "a.gif").write_bytes(GIF)
    records = [
        ashore.record(headers=EVENT, offset=1),
        ashore.claim(str(ashore.files / "a.gif"), offset=2),
        ashore.record(POISON, offset=3),
        ashore.record(None, offset=4),
        ashore.record(OTHER, headers=EVENT, offset=5),
    ]
    ids = [ashore.id_of(record) for record in records]
    for created in (True, False):
        outcomes = [ashore.take(record) for record in records]
        assert outcomes[:2] == [Kept(ids[0], created), Kept(ids[1], created)]
        assert all(isinstance(outcome, Buried) for outcome in outcomes[2:])
    assert not list(ashore.files.iterdir())
    assert {letter.key: letter.reason for letter in ashore.dead.letters(LettersWanted())} == {
        "photos/2/3": "unknown-type",
        "photos/2/4": "empty-body",
        "photos/2/5": "idempotency-reused",
    }
    states = {record.id: record.state for record in map(ashore.metadata.get, (*ids[:3], ids[4]))}
    assert list(states.values()) == [State.RECEIVED, State.RECEIVED, State.REJECTED, State.REJECTED]
    for image_id, body in zip((*ids[:3], ids[4]), (GIF, GIF, POISON, OTHER), strict=True):
        reader = ashore.vault.open(Address.original(image_id))
        assert b"".join(reader.chunks()) == body
        reader.close()


@pytest.mark.parametrize("fault", [StorageFull("full"), Crash()], ids=repr)
@pytest.mark.parametrize("name", ["get", "reserve", "admit"])
@pytest.mark.parametrize("after", [False, True])
def test_what_was_cut_off_anywhere_is_made_whole(ashore: Ashore, fault: BaseException, name: str, after: bool) -> None:
    (ashore.files / "a.gif").write_bytes(GIF)
    record = ashore.claim(str(ashore.files / "a.gif"), headers=EVENT | {"content-type": "application/json"})
    failing = Failing(ashore.metadata, 1, fault, frozenset({name}), after=after)
    with pytest.raises(type(fault)):
        Landing(ashore.house, ashore.terms, {**ashore.instead, "metadata": failing}).take(record)
    assert (ashore.files / "a.gif").exists()
    assert ashore.take(record) in (Kept(ashore.id_of(record), True), Kept(ashore.id_of(record), False))
    assert ashore.metadata.get(ashore.id_of(record)).state is State.RECEIVED
    assert not list(ashore.files.iterdir())


@pytest.mark.parametrize("claimed", [False, True])
def test_a_large_one_needs_little_memory_beside_its_own_bytes(ashore: Ashore, claimed: bool) -> None:
    body = GIF.ljust(8 * MEBIBYTE, b"\0")
    if claimed:
        (ashore.files / "a.gif").write_bytes(body)
        record = ashore.claim(str(ashore.files / "a.gif"), body)
    else:
        record = ashore.record(body)
    ashore.take(ashore.record(offset=1))
    tracemalloc.start()
    try:
        assert ashore.take(record) == Kept(ashore.id_of(record), True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * MEBIBYTE
