"""The sweep: everything of a minute that has ended, destroyed in an order that a crash anywhere cannot spoil.

    fence     needs no step of its own: from `expires_at` on every put, claim and settle is refused by the store's
              own conditional write, so nothing joins a minute that has ended
    key       destroyed first: from here on nobody can open a copy, wherever it lies
    bytes     every object under the minute, unfinished writes too
    records   records, jobs, dead letters, idempotency keys; then the database's free pages and log
    listing   both stores are asked again what stands there; only "nothing" counts as done

Each step is durable and repeatable. A sweep that was cut off is done again, because the stores themselves are asked
what is due, not a note about it.
"""

import threading
from dataclasses import dataclass

from mayfly.model.errors import ClockHeld, StorageFull, Unavailable
from mayfly.model.instant import Minute, Ms, last_ended, minute_end, minute_label
from mayfly.model.journal import Journal
from mayfly.ports.clock import Clock
from mayfly.ports.key_store import KeyStore
from mayfly.ports.metadata_store import MetadataStore, RecordsRemoved
from mayfly.ports.object_store import ObjectStore, Removed


@dataclass(frozen=True, slots=True)
class Swept:
    """One minute's sweep. `lag_ms` is from the minute's end to the listing that found nothing; `verified_at` is None
    where something still stood: that minute is swept again."""

    minute: Minute
    key_destroyed_at: Ms
    objects: Removed
    records: RecordsRemoved
    verified_at: Ms | None

    @property
    def lag_ms(self) -> int | None:
        return None if self.verified_at is None else self.verified_at - minute_end(self.minute)

    @property
    def empty(self) -> bool:
        return self.objects == Removed() and self.records == RecordsRemoved()


@dataclass(frozen=True, slots=True)
class SweepRun:
    """What one run did. `keys` counts the keys destroyed, `swept` the minutes that held anything."""

    through: Minute
    keys: int
    swept: tuple[Swept, ...]

    @property
    def unverified(self) -> tuple[Swept, ...]:
        return tuple(swept for swept in self.swept if swept.verified_at is None)


class Sweep:
    """Runs one at a time, whoever asks."""

    def __init__(
        self, objects: ObjectStore, metadata: MetadataStore, keys: KeyStore, clock: Clock, journal: Journal
    ) -> None:
        self._objects = objects
        self._metadata = metadata
        self._keys = keys
        self._clock = clock
        self._journal = journal
        self._lock = threading.Lock()

    def run(self) -> SweepRun:
        """Destroy everything that is due now.

        Raises:
            ClockHeld: wall time jumped; nothing is destroyed by it until an operator confirms.
        """
        with self._lock:
            if self._clock.held():
                raise ClockHeld("wall time jumped: nothing is destroyed until `mayfly clock confirm`")
            through = last_ended(self._clock.now())
            # Keys of every due minute die before the first byte is looked for.
            keys = self._keys.destroy([minute for minute in self._keys.live() if minute <= through])
            destroyed_at = self._clock.now()
            swept = tuple(self._sweep(minute, destroyed_at) for minute in self._due(through))
            # Also after an empty run: one that was put off, and the pages of early erasures, are made up for.
            self._scrub()
            return SweepRun(through, keys, swept)

    def _due(self, through: Minute) -> list[Minute]:
        stored = {minute for minute in self._objects.minutes() if minute <= through}
        return sorted(stored.union(self._metadata.due_minutes(through)))

    def _sweep(self, minute: Minute, destroyed_at: Ms) -> Swept:
        objects = self._objects.purge(minute)
        try:
            records = self._metadata.purge(minute)
        except StorageFull as fault:
            # Without its key a record's personal fields are noise; the row itself goes when there is room.
            self._journal("purge_delayed", minute=minute_label(minute), reason=str(fault))
            records = RecordsRemoved()
        nothing_left = not self._objects.listing(minute) and not self._metadata.records(minute)
        swept = Swept(minute, destroyed_at, objects, records, self._clock.now() if nothing_left else None)
        self._journal(
            "purged" if nothing_left else "purge_unverified",
            minute=minute_label(minute),
            originals=objects.originals,
            renditions=objects.renditions,
            records=records.http + records.kafka,
            lag_ms=swept.lag_ms,
        )
        return swept

    def _scrub(self) -> None:
        try:
            self._metadata.scrub()
        except Unavailable as fault:
            self._journal("scrub_delayed", reason=str(fault))
