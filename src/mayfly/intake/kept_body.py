"""A record's bytes on their way into the store: inspected, hashed and sealed, and kept whatever they are."""

import hashlib

from mayfly.intake.inspect import Inspector
from mayfly.model.address import Address
from mayfly.model.errors import Refused, UnknownType
from mayfly.model.identity import ImageId
from mayfly.model.image import MediaType
from mayfly.vault.vault import Vault


class KeptBody:
    """Used by one caller at a time. Takes the place of what another consumer, or a crash, left at the address: the
    same record has the same bytes."""

    def __init__(self, vault: Vault, image_id: ImageId, max_pixels: int, declared: str | None) -> None:
        """Raises:
        Expired, Erased: the image is gone.
        KeyNotMade, StorageFull, Unavailable: not now.
        """
        self.size = 0
        self.refusal: Refused | None = None
        """What the inspection refuses, once it does."""
        try:
            self._inspector = Inspector(max_pixels, declared)
        except UnknownType as refusal:
            self.refusal = refusal
            self._inspector = Inspector(max_pixels, None)
        self._looking = True
        self._digest = hashlib.sha256()
        self._writer = vault.create(Address.original(image_id), replace=True)

    @property
    def sha256(self) -> str:
        """Of all bytes so far, in hex."""
        return self._digest.hexdigest()

    @property
    def media_type(self) -> MediaType | None:
        """What the bytes are, where that is known."""
        return self._inspector.media_type

    def feed(self, chunk: bytes | memoryview) -> None:
        """Take more bytes.

        Raises:
            StorageFull: no room; the caller aborts.
        """
        self.size += len(chunk)
        self._digest.update(chunk)
        self._look(chunk)
        self._writer.write(chunk)

    def finish(self) -> None:
        """The whole body came, which is not empty: `refusal` and `media_type` are final."""
        if self._looking:
            try:
                self._inspector.finish()
            except Refused as refusal:
                self._refuse(refusal)

    def commit(self) -> None:
        """Make the original durable.

        Raises:
            Expired, StorageFull: as `ObjectWriter.commit`.
        """
        self._writer.commit()

    def abort(self) -> None:
        """Leave nothing behind. Does nothing after `commit`."""
        self._writer.abort()

    def _look(self, chunk: bytes | memoryview) -> None:
        if self._looking:
            try:
                self._inspector.feed(chunk)
            except Refused as refusal:
                self._refuse(refusal)

    def _refuse(self, refusal: Refused) -> None:
        self._looking = False
        self.refusal = self.refusal or refusal
