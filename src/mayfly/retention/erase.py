"""Early erasure of one image: remembered first, so that nothing can bring it back; then bytes, then the record."""

from mayfly.model.address import Address
from mayfly.model.errors import Erased, NotFound, Unavailable
from mayfly.model.identity import ImageId
from mayfly.model.journal import Journal
from mayfly.ports.key_store import KeyStore
from mayfly.ports.metadata_store import MetadataStore
from mayfly.ports.object_store import ObjectStore


class Erasure:
    def __init__(self, objects: ObjectStore, metadata: MetadataStore, keys: KeyStore, journal: Journal) -> None:
        self._objects = objects
        self._metadata = metadata
        self._keys = keys
        self._journal = journal

    def erase(self, image_id: ImageId) -> None:
        """Erase a living image.

        Raises:
            Expired, Erased: it is gone already.
            NotFound: no such image.
            StorageFull: no room to remember it; nothing was erased.
        """
        if self._keys.is_erased(image_id):
            raise Erased("the image was erased")
        record = self._metadata.get(image_id)
        # From here on every read answers 410 and every late write is refused or removed.
        self._keys.remember_erased(image_id)
        self._objects.delete(Address.original(image_id))
        for found in self._objects.listing(image_id.expiry_minute):
            if found.address.image_id == image_id:
                self._objects.discard(found)
        if not self._metadata.delete(record.id):
            raise NotFound("no such image")
        self._journal("erased", image=str(image_id))
        try:
            self._metadata.scrub()
        except Unavailable as fault:
            # The image is erased all the same; the next sweep scrubs again.
            self._journal("scrub_delayed", reason=str(fault))
