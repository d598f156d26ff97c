"""Reconcile: what is really there, asked of the stores themselves, against what should be.

An object is an orphan if nobody will ever serve or remove it before its minute: its record does not exist, or does
not name it. What is in flight is nobody's orphan. The order keeps the race out: first the store is listed, then what
is in flight is noted, then the records are read. An object seen in the listing is by then either still in flight, or
its record is there, or it is an orphan.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from mayfly.model.address import Kind
from mayfly.model.errors import Gone, NotFound
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import Minute, minute_label
from mayfly.model.journal import Journal
from mayfly.model.lifecycle import State
from mayfly.ports.key_store import KeyStore
from mayfly.ports.metadata_store import MetadataStore
from mayfly.ports.object_store import ObjectStore, StoredObject


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Objects looked at, orphans removed, records of erased images removed, names at no address of ours."""

    objects: int
    orphans: int
    erased: int
    strays: int


class Reconcile:
    def __init__(
        self,
        objects: ObjectStore,
        metadata: MetadataStore,
        keys: KeyStore,
        in_flight: Callable[[], frozenset[ImageId]],
        journal: Journal,
        alone: Callable[[ImageId], AbstractContextManager[bool]] = lambda _: nullcontext(True),
    ) -> None:
        """`alone`: whether nobody brings that image in anew, nor begins to while it lasts. By default nobody does: over
        HTTP every try has an id of its own."""
        self._objects = objects
        self._metadata = metadata
        self._keys = keys
        self._in_flight = in_flight
        self._alone = alone
        self._journal = journal

    def run(self, cancelled: Callable[[], bool] = lambda: False) -> Reconciled:
        """Look at everything that is not due (what is due is the sweep's), and remove what is orphaned.

        `cancelled` is asked between minutes; what was not looked at is left for the next time.
        """
        looked, orphans, erased = 0, 0, 0
        for minute in self._objects.minutes():
            if cancelled():
                break
            listing = self._objects.listing(minute)
            looked += len(listing)
            orphans += self._remove_orphans(minute, listing)
        for minute in self._keys.live():
            for image_id in self._keys.erased(minute):
                # An erasure that was cut off after it was remembered is finished here.
                erased += self._metadata.delete(image_id)
        strays = self._objects.strays()
        self._journal("looked_around", strays=len(strays))
        if orphans or erased or strays:
            self._journal("reconciled", objects=looked, orphans=orphans, erased=erased, strays=len(strays))
        return Reconciled(looked, orphans, erased, len(strays))

    def _remove_orphans(self, minute: Minute, listing: list[StoredObject]) -> int:
        busy = self._in_flight()
        records = {record.id: record for record in self._metadata.records(minute)}
        suspects = [
            found
            for found in listing
            if found.address.image_id not in busy and self._orphaned(found, records.get(found.address.image_id))
        ]
        return sum(self._removed(suspect) for suspect in suspects)

    def _removed(self, suspect: StoredObject) -> bool:
        image_id = suspect.address.image_id
        with self._alone(image_id) as alone:
            # A worker may have claimed the image since, or a stream's record have come again, and be writing this very
            # name anew: asked once more.
            if not alone or not self._orphaned(suspect, self._record(image_id)):
                return False
            self._objects.discard(suspect)
        self._journal("orphan_removed", image=str(image_id), minute=minute_label(image_id.expiry_minute))
        return True

    def _record(self, image_id: ImageId) -> ImageRecord | None:
        try:
            return self._metadata.get(image_id)
        except (Gone, NotFound):
            return None

    def _orphaned(self, found: StoredObject, record: ImageRecord | None) -> bool:
        return record is None or self._keys.is_erased(record.id) or _unnamed(found, record)


def _unnamed(found: StoredObject, record: ImageRecord) -> bool:
    """Whether a living image's record neither names the object nor may be about to."""
    # Of an awaited image a post of its form may be writing this very name anew; the next one, or the sweep that lets
    # the form lapse, takes away what a crash left.
    if record.state in (State.PROCESSING, State.AWAITED):
        return False
    if found.unfinished:
        return True
    if found.address.kind is Kind.ORIGINAL:
        # The bytes of an HTTP image that decoding rejected are not kept, unless it had been processed before.
        return record.state is State.REJECTED and record.source is Source.HTTP and not record.renditions
    return all(found.address.name != rendition.object_name for rendition in record.renditions)
