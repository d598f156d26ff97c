"""Opening an image's bytes: the original as received, or a rendition by its name."""

from dataclasses import dataclass

from mayfly.model.address import Address
from mayfly.model.errors import NotFound, ObjectMissing
from mayfly.model.identity import ImageId
from mayfly.model.lifecycle import State
from mayfly.ports.metadata_store import MetadataStore
from mayfly.vault.vault import SealedReader, Vault


@dataclass(frozen=True, slots=True)
class Opened:
    """An open picture; the caller closes `reader`."""

    media_type: str
    reader: SealedReader


class Open:
    def __init__(self, metadata: MetadataStore, vault: Vault) -> None:
        self._metadata = metadata
        self._vault = vault

    def original(self, image_id: ImageId) -> Opened:
        """The bytes as received.

        Raises:
            Expired, Erased: the image is gone.
            NotFound: no such image, or its bytes have not come yet, or it was rejected and they were not kept.
        """
        self._vault.refuse_gone(image_id)
        record = self._metadata.get(image_id)
        if record.state is State.AWAITED:
            raise NotFound("the image is awaited: its upload form was issued, and no file has come by it yet")
        try:
            return Opened(record.media_type, self._vault.open(Address.original(image_id)))
        except ObjectMissing:
            if record.state is State.REJECTED:
                raise NotFound(f"the image was rejected ({record.reason}); its bytes were not kept") from None
            raise NotFound("the original is missing from the store; run `mayfly doctor`") from None

    def rendition(self, image_id: ImageId, name: str) -> Opened:
        """One rendition.

        Raises:
            Expired, Erased: the image is gone.
            NotFound: no such image, or it has no rendition of that name (yet).
        """
        try:
            return self._rendition(image_id, name)
        except ObjectMissing:
            # A reprocess replaced it between our two looks: the record names another object by now.
            return self._rendition(image_id, name)

    def _rendition(self, image_id: ImageId, name: str) -> Opened:
        self._vault.refuse_gone(image_id)
        record = self._metadata.get(image_id)
        for rendition in record.renditions:
            if rendition.name == name:
                reader = self._vault.open(Address.rendition(image_id, rendition.object_name))
                return Opened(rendition.media_type, reader)
        made = ", ".join(rendition.name for rendition in record.renditions) or "none"
        raise NotFound(f"the image is {record.state} and has no rendition of that name; it has: {made}")
