"""Finding images: one with its personal fields opened, or a page of many with nothing sealed."""

from dataclasses import dataclass

from mayfly.model.errors import Erased
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Personal
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.listing import Filter, Page
from mayfly.ports.key_store import KeyStore
from mayfly.ports.metadata_store import MetadataStore
from mayfly.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Found:
    record: ImageRecord
    personal: Personal


class Find:
    def __init__(self, metadata: MetadataStore, keys: KeyStore, vault: Vault) -> None:
        self._metadata = metadata
        self._keys = keys
        self._vault = vault

    def one(self, image_id: ImageId) -> Found:
        """One image, personal fields opened.

        Raises:
            Expired, Erased: it is gone.
            NotFound: alive by its id, but unknown.
        """
        self._vault.refuse_gone(image_id)
        record = self._metadata.get(image_id)
        return Found(record, self._vault.open_personal(image_id, record.sealed))

    def many(self, wanted: Filter) -> Page:
        """A page, newest first. What was erased a moment ago is left out even while its record still stands."""
        page = self._metadata.find(wanted)
        alive = tuple(record for record in page.records if not self._keys.is_erased(record.id))
        return Page(alive, page.next_after)

    def retry(self, image_id: ImageId) -> ImageRecord:
        """Process a failed image again.

        Raises:
            Expired, Erased, NotFound: as `one`.
            Conflict: it is not failed.
        """
        if self._keys.is_erased(image_id):
            raise Erased("the image was erased")
        return self._metadata.reopen(image_id, Job(image_id), frozenset({State.FAILED}))
