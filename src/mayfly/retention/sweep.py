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
from collections.abc import Callable
from dataclasses import dataclass, replace

from mayfly.model.errors import ClockHeld, StorageFull, Unavailable
from mayfly.model.instant import MINUTE, Minute, Ms, last_ended, minute_end, minute_label
from mayfly.model.journal import Journal
from mayfly.model.retention import LONGEST_MINUTES, Retention
from mayfly.ports.clock import Clock
from mayfly.ports.key_store import KeyStore
from mayfly.ports.metadata_store import MetadataStore, RecordsRemoved
from mayfly.ports.object_store import ObjectStore, Removed

_LONGEST = Retention(LONGEST_MINUTES)


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
    """What one run did. `keys` counts the keys destroyed, `swept` the minutes that held anything; `cut_short` says that
    minutes which are due were left to the next run."""

    through: Minute
    keys: int
    swept: tuple[Swept, ...]
    cut_short: bool = False

    @property
    def unverified(self) -> tuple[Swept, ...]:
        return tuple(swept for swept in self.swept if swept.verified_at is None)


class Sweep:
    """Runs one at a time, whoever asks."""

    def __init__(
        self,
        objects: ObjectStore,
        metadata: MetadataStore,
        keys: KeyStore,
        clock: Clock,
        journal: Journal,
        form_lifetime: Retention = _LONGEST,
    ) -> None:
        self._objects = objects
        self._metadata = metadata
        self._keys = keys
        self._clock = clock
        self._journal = journal
        self._form_lifetime = form_lifetime
        self._lock = threading.Lock()

    def run(self, cancelled: Callable[[], bool] = lambda: False) -> SweepRun:
        """Destroy everything that is due now. `cancelled` is asked between minutes, once all keys are dead.

        Raises:
            ClockHeld: wall time jumped; nothing is destroyed by it until an operator confirms.
        """
        with self._lock:
            through = self._last_believed()
            # Keys of every due minute die before the first byte is looked for.
            keys = self._keys.destroy([minute for minute in self._keys.live() if minute <= through])
            destroyed_at = self._clock.now()
            swept, ended, cut_short = [], through, False
            for minute in self._due(through):
                if cut_short := cancelled():
                    break
                swept.append(self._sweep(minute, destroyed_at))
                if (later := self._last_believed()) > ended:
                    # Minutes that end meanwhile are swept by the next run; their keys do not wait for it.
                    keys += self._keys.destroy([Minute(minute) for minute in range(ended + 1, later + 1)])
                    ended = later
            self._lapse()
            # Also after an empty run: one that was put off, and the pages of early erasures, are made up for.
            self._scrub()
            run = SweepRun(through, keys, self._verified(swept, through), cut_short)
            self._journal("swept", keys=keys, unverified=len(run.unverified), at=self._clock.now())
            return run

    def _last_believed(self) -> Minute:
        return last_ended(self._believed_now())

    def _believed_now(self) -> Ms:
        # The instant first, then whether it is believed: asked the other way round, a jump between the two would
        # destroy every key there is.
        now = self._clock.now()
        if self._clock.held():
            raise ClockHeld("wall time jumped: nothing is destroyed until `mayfly clock confirm`")
        return now

    def _due(self, through: Minute) -> list[Minute]:
        return sorted({*self._objects.minutes(through), *self._metadata.due_minutes(through)})

    def _sweep(self, minute: Minute, destroyed_at: Ms) -> Swept:
        """Remove what can be removed. One minute's trouble keeps no other waiting."""
        objects, records = Removed(), RecordsRemoved()
        try:
            objects = self._objects.purge(minute)
            records = self._metadata.purge(minute)
        except (StorageFull, OSError) as fault:
            # Without its key, what is left of an image is noise; it goes with a later run.
            self._journal("purge_delayed", minute=minute_label(minute), reason=f"{type(fault).__name__}: {fault}")
        return Swept(minute, destroyed_at, objects, records, None)

    def _lapse(self) -> None:
        """Remove what forms awaited that nobody used in time: they would else be listed until their image's death."""
        try:
            # A minute later than that, so that a file which was posted in time may take a while.
            bound = Ms(self._believed_now() - self._form_lifetime.minutes * MINUTE - MINUTE)
            lapsed = set(self._metadata.lapse(bound))
            # A post that a crash cut off may have left something, finished or not.
            for minute in {image_id.expiry_minute for image_id in lapsed}:
                for found in self._objects.listing(minute):
                    if found.address.image_id in lapsed:
                        self._objects.discard(found)
        except (ClockHeld, StorageFull, OSError) as fault:
            self._journal("lapse_delayed", reason=f"{type(fault).__name__}: {fault}")
            return
        if lapsed:
            self._journal("forms_lapsed", records=len(lapsed))

    def _verified(self, swept: list[Swept], through: Minute) -> tuple[Swept, ...]:
        """Both stores are asked once more; only a minute of which nothing stands is done."""
        if not swept:
            return ()
        standing = set(self._due(through))
        now = self._clock.now()
        checked = [replace(one, verified_at=None if one.minute in standing else now) for one in swept]
        for one in checked:
            self._journal(
                "purge_unverified" if one.verified_at is None else "purged",
                minute=minute_label(one.minute),
                originals=one.objects.originals,
                renditions=one.objects.renditions,
                records=one.records.http + one.records.kafka,
                size=one.objects.size,
                lag_ms=one.lag_ms,
            )
        return tuple(checked)

    def _scrub(self) -> None:
        try:
            self._metadata.scrub()
        except Unavailable as fault:
            self._journal("scrub_delayed", reason=str(fault))
