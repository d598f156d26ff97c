"""Reprocess: images whose renditions are not what the recipes in force would make are processed again.

A piece at a time: however many images there are, one call looks at no more than a page of them. What is reopened waits
in the same queue as what was just received, so nothing is added to a queue that is long already.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mayfly.model.errors import Busy, Conflict, Gone, InvalidRequest, NotFound
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord
from mayfly.model.job import Job
from mayfly.model.journal import Journal
from mayfly.model.lifecycle import State
from mayfly.model.listing import Filter
from mayfly.ports.key_store import KeyStore
from mayfly.ports.metadata_store import MetadataStore
from mayfly.ports.work_queue import WorkQueue
from mayfly.processing.recipe import Recipe

MOST_AT_ONCE = 100
"""Images looked at in one call: each that is reopened is a durable write."""

MOST_WAITING = 1_000
"""Jobs in the queue from which on nothing is reopened: what is uploaded now would wait behind all of them."""

ORIGINS = frozenset({State.PROCESSED, State.FAILED})
"""The states in which an image is looked at."""


@dataclass(frozen=True, slots=True)
class Reprocessed:
    """Images in one of `ORIGINS` that were examined; those of them that are outdated; those that were reopened. Go on
    after `next_after`; None: that was the end."""

    examined: int
    outdated: int
    reopened: int
    next_after: ImageId | None = None


class Reprocess:
    def __init__(
        self,
        metadata: MetadataStore,
        queue: WorkQueue,
        keys: KeyStore,
        recipes: Sequence[Recipe],
        journal: Journal,
    ) -> None:
        self._metadata = metadata
        self._queue = queue
        self._keys = keys
        self._hashes = {recipe.name: recipe.hash for recipe in recipes}
        self._journal = journal

    def page(self, wanted: Filter, *, dry_run: bool) -> Reprocessed:
        """Reopen what is outdated among the next `wanted.limit` images, newest first; with `dry_run` only count.

        Raises:
            InvalidRequest: `wanted.state` is none of `ORIGINS`.
            Busy: the queue is long already; nothing was reopened.
        """
        if wanted.state is not None and wanted.state not in ORIGINS:
            raise InvalidRequest(f"state is one of {', '.join(sorted(ORIGINS))}; got {wanted.state}")
        self._refuse_when_busy(dry_run)
        page = self._metadata.find(wanted)
        return self._among(page.records, page.next_after, dry_run)

    def these(self, ids: Sequence[ImageId], *, dry_run: bool) -> Reprocessed:
        """The same for images by id. Those that are gone or unknown are not counted.

        Raises:
            Busy: as `page`.
        """
        self._refuse_when_busy(dry_run)
        found = [record for record in map(self._living, dict.fromkeys(ids)) if record is not None]
        return self._among(found, None, dry_run)

    def _refuse_when_busy(self, dry_run: bool) -> None:
        if not dry_run and self._queue.depth() >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} images wait to be processed; go on when there are fewer")

    def _living(self, image_id: ImageId) -> ImageRecord | None:
        try:
            return self._metadata.get(image_id)
        except (Gone, NotFound):
            return None

    def _among(self, records: Sequence[ImageRecord], next_after: ImageId | None, dry_run: bool) -> Reprocessed:
        examined = [record for record in records if record.state in ORIGINS and not self._keys.is_erased(record.id)]
        outdated = [record for record in examined if self._outdated(record)]
        reopened = 0 if dry_run else sum(self._reopen(record) for record in outdated)
        if reopened:
            self._journal("reopened", records=reopened)
        return Reprocessed(len(examined), len(outdated), reopened, next_after)

    def _outdated(self, record: ImageRecord) -> bool:
        """A failed image always is: whatever it has, its last run came to nothing."""
        made = {rendition.name: rendition.recipe for rendition in record.renditions}
        return record.state is State.FAILED or any(made.get(name) != wanted for name, wanted in self._hashes.items())

    def _reopen(self, record: ImageRecord) -> bool:
        try:
            self._metadata.reopen(record.id, Job(record.id), ORIGINS)
        except (Conflict, Gone, NotFound):
            return False  # it went on, or went, since it was looked at
        return True
