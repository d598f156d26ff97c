"""The stores of one house in memory, and ways to break them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mayfly.adapters.memory.clock import ManualClock
from mayfly.adapters.memory.key_store import MemoryKeyStore
from mayfly.adapters.memory.metadata_store import MemoryMetadataStore
from mayfly.adapters.memory.object_store import MemoryObjectStore
from mayfly.adapters.memory.under_way import MemoryUnderWay
from mayfly.adapters.memory.work_queue import MemoryWorkQueue
from mayfly.intake.intake import Intake
from mayfly.journal import COUNTED_ALONE
from mayfly.model.address import Address
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Personal, Rendition, Source
from mayfly.model.instant import MINUTE, Minute, Ms, minute_end, minute_of, week_of
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention
from mayfly.vault.vault import Vault

START = Ms(29_833_334 * MINUTE)
LONGEST_KEYS = 120
"""Minutes for which a house has keys."""


class Crash(BaseException):
    """The process ends here, as far as the code under test can tell: it catches no such thing."""


@dataclass
class Failing:
    """Stands before a port. The n-th call of those named raises instead; `after` raises once the call was made,
    whatever came of it."""

    port: Any
    at: int
    fault: BaseException = field(default_factory=Crash)
    names: frozenset[str] | None = None
    after: bool = False
    calls: int = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.port, name)
        if self.names is not None and name not in self.names:
            return method

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            due = self.calls == self.at
            if due and not self.after:
                raise self.fault
            try:
                return method(*arguments, **named)
            finally:
                if due:
                    raise self.fault

        return call


@dataclass
class Told:
    """A journal that keeps what it is told."""

    entries: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)

    def __call__(self, event: str, **fields: object) -> None:
        self.entries.append((event, fields))

    @property
    def events(self) -> list[str]:
        """As the log would have them."""
        return [event for event, _ in self.lines]

    @property
    def lines(self) -> list[tuple[str, Mapping[str, object]]]:
        return [entry for entry in self.entries if entry[0] not in COUNTED_ALONE]


class House:
    """Stores that know one another, with keys for two hours."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.keys = MemoryKeyStore()
        self.objects = MemoryObjectStore(self.clock)
        self.metadata = MemoryMetadataStore(self.clock)
        self.queue = MemoryWorkQueue(self.metadata)
        self.vault = Vault(self.objects, self.keys, self.clock)
        self.told = Told()
        self.keys.provide(minute_of(START), Minute(minute_of(START) + LONGEST_KEYS))
        self.keys.turn_weeks(week_of(START))

    def intake(self, under_way: MemoryUnderWay) -> Intake:
        return Intake(self.vault, self.objects, self.metadata, self.keys, self.clock, under_way, self.told)

    def admit(self, body: bytes = b"body", *, minutes: int = 60, source: Source = Source.HTTP) -> ImageId:
        """One image, stored and handed over."""
        image_id = ImageId.new(self.clock.now(), Retention(minutes))
        self.put(Address.original(image_id), body)
        sealed = self.vault.seal_personal(image_id, Personal(sha256="00"))
        record = ImageRecord(image_id, State.RECEIVED, source, "image/png", len(body), sealed)
        self.metadata.admit(record, Job(image_id))
        return image_id

    def admit_processed(self, *, minutes: int = 60, source: Source = Source.HTTP) -> ImageId:
        """One image with its original, a rendition `thumb`, and no job left."""
        image_id = self.admit(minutes=minutes, source=source)
        row = self.metadata.tables.images[image_id]
        thumb = Rendition("thumb", "image/webp", 5, 1, 1, "recipe")
        row.record = replace(row.record, state=State.PROCESSED, attempts=1, renditions=(thumb,))
        del self.metadata.tables.jobs[image_id]
        self.put(Address.rendition(image_id, "thumb"), b"thumb")
        return image_id

    def put(self, address: Address, body: bytes) -> None:
        writer = self.vault.create(address, replace=True)
        writer.write(body)
        writer.commit()

    def standing(self) -> set[str]:
        """The names of all objects, unfinished ones with a mark."""
        return {
            found.address.file_name + (" unfinished" if found.unfinished else "")
            for minute in self.objects.minutes()
            for found in self.objects.listing(minute)
        }

    def end_minute_of(self, image_id: ImageId) -> None:
        """Move time to the end of the minute in which the image dies."""
        self.clock.set(minute_end(image_id.expiry_minute))
