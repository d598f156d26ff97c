"""The second door over a house in memory: records are brought to it, as often as one likes."""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mayfly.adapters.memory.claim_source import MemoryClaimSource
from mayfly.adapters.memory.dead_letters import MemoryDeadLetters
from mayfly.adapters.memory.key_store import MemoryKeyStore
from mayfly.adapters.memory.under_way import MemoryUnderWay
from mayfly.intake.stream import Outcome, StreamDoor
from mayfly.model.address import Address
from mayfly.model.claim import ClaimPrefix
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord
from mayfly.model.instant import MINUTE, Minute, Ms, minute_of, week_of
from mayfly.model.retention import History, Retention
from mayfly.model.stream import Coordinates, Partition, StreamRecord
from mayfly.model.terms import Terms
from mayfly.retention.erase import Erasure
from mayfly.retention.sweep import Sweep
from mayfly.vault.vault import Vault
from support.house import START, House
from support.pictures import gif

NOW = -(1 << 60)
"""Stands for the present."""
WEEK = Retention(10_080)
GIF = gif(3)
OTHER = gif(4)
POISON = b"no image at all " * 8
IN = Path("/in")
THEIRS = Path("/theirs")
TERMS = Terms("kafka", History(((Ms(0), WEEK),)), 10_000, 1_000_000, {"site": "fact", "customer": "personal"})


@functools.cache
def _minutes() -> dict[Minute, bytes]:
    """Three weeks and a day of keys, drawn once: thousands of them for each test would be most of its time."""
    keys = MemoryKeyStore()
    keys.provide(minute_of(START), Minute(minute_of(START) + 3 * WEEK.minutes + 1_440))
    return {minute: keys.key(minute) for minute in keys.live()}


def a_house() -> House:
    """A house that has stood for a week, with keys for two more."""
    house = House()
    house.keys._keys, house.keys._mark = dict(_minutes()), max(_minutes())
    house.clock.move(WEEK.minutes * MINUTE)
    house.keys.turn_weeks(week_of(house.clock.now()))
    return house


@dataclass
class Landing:
    """`instead` names ports that stand before the house's own: objects, metadata, keys, letters, claims."""

    house: House = field(default_factory=a_house)
    terms: Terms = TERMS
    instead: dict[str, Any] = field(default_factory=dict)
    claims: MemoryClaimSource = field(
        default_factory=lambda: MemoryClaimSource([ClaimPrefix(IN), ClaimPrefix(THEIRS, external=True)])
    )

    def __post_init__(self) -> None:
        house = self.house
        self.letters = MemoryDeadLetters(house.metadata)
        self.under_way = MemoryUnderWay(100)
        objects, keys = self.instead.get("objects", house.objects), self.instead.get("keys", house.keys)
        intake = replace(
            house.intake(self.under_way),
            vault=Vault(objects, keys, house.clock),
            objects=objects,
            keys=keys,
            admissions=self.instead.get("metadata", house.metadata),
        )
        letters, claims = self.instead.get("letters", self.letters), self.instead.get("claims", self.claims)
        self.door = StreamDoor(intake, letters, lambda: self.terms, claims)

    def broken(self, **instead: Any) -> "Landing":
        """The same house and the same files, with something in between that fails."""
        return Landing(self.house, self.terms, instead, self.claims)

    @property
    def now(self) -> Ms:
        return self.house.clock.now()

    def record(
        self,
        value: bytes | None = GIF,
        *,
        age: int = 0,
        offset: int = 7,
        timestamp: int | None = NOW,
        headers: Mapping[str, str] | None = None,
    ) -> StreamRecord:
        """One record, `age` ms old unless it has another `timestamp`."""
        birth = self.now - age if timestamp == NOW else timestamp
        raw = tuple((name, text.encode()) for name, text in (headers or {}).items())
        return StreamRecord(
            Coordinates(Partition("photos", 2), offset), 1, None if birth is None else Ms(birth), raw, value
        )

    def claim(self, path: str, body: bytes = GIF, **of_record: Any) -> StreamRecord:
        document = {"uri": f"file://{path}", "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
        headers = {"content-type": "application/json", **of_record.pop("headers", {})}
        return self.record(json.dumps(document).encode(), headers=headers, **of_record)

    def take(self, record: StreamRecord) -> Outcome:
        try:
            return self.door.take(record)
        finally:
            assert self.under_way.ids() == frozenset()

    def id_of(self, record: StreamRecord, retention: Retention = WEEK) -> ImageId:
        assert record.timestamp is not None
        at = record.at
        return ImageId.of_record(
            record.timestamp, retention, self.terms.source_name, at.partition.topic, at.partition.number, at.offset
        )

    def image(self, image_id: ImageId) -> ImageRecord:
        return self.house.metadata.get(image_id)

    def original(self, image_id: ImageId) -> bytes:
        return b"".join(self.house.vault.open(Address.original(image_id)).chunks())

    def erase(self, image_id: ImageId) -> None:
        Erasure(self.house.objects, self.house.metadata, self.house.keys, self.house.told).erase(image_id)

    def sweep(self) -> None:
        house = self.house
        Sweep(house.objects, house.metadata, house.keys, house.clock, house.told, WEEK).run()

    def everything(self) -> tuple[object, ...]:
        """All that stands: records, jobs, letters, objects, reservations."""
        tables = self.house.metadata.tables
        return (
            {image_id: row.record for image_id, row in tables.images.items()},
            set(tables.jobs),
            {key: row.letter for key, row in tables.letters.items()},
            self.house.standing(),
            {key: (row.image_id, row.kept) for key, row in tables.reservations.items()},
        )
