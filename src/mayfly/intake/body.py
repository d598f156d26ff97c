"""One image's bytes on their way into the store: inspected, hashed and sealed while they stream in."""

import hashlib

from mayfly.intake.inspect import Inspector
from mayfly.model.address import Address
from mayfly.model.identity import ImageId
from mayfly.model.image import MediaType
from mayfly.vault.vault import SealedWriter, Vault


class Body:
    """Used by one caller at a time. Until its type is known nothing of it touches the store: what is refused by its
    first bytes leaves no trace."""

    def __init__(self, vault: Vault, image_id: ImageId, inspector: Inspector, *, stored: bool = True) -> None:
        """`stored`: False where the bytes are only to be looked at and hashed."""
        self.size = 0
        self._vault = vault
        self._image_id = image_id
        self._inspector = inspector
        self._stored = stored
        self._digest = hashlib.sha256()
        self._writer: SealedWriter | None = None
        self._held_back = bytearray()

    @property
    def sha256(self) -> str:
        """Of all bytes so far, in hex."""
        return self._digest.hexdigest()

    def feed(self, chunk: bytes) -> None:
        """Take more bytes.

        Raises:
            UnknownType, TypeMismatch, TooManyPixels: refused; the caller aborts.
            Expired, Erased, StorageFull, KeyNotMade: not here, or not now; the caller aborts.
        """
        self.size += len(chunk)
        self._inspector.feed(chunk)
        self._digest.update(chunk)
        if not self._stored:
            return
        if self._writer is None:
            self._held_back += chunk
            if self._inspector.media_type is None:
                return
            self._begin()
        else:
            self._writer.write(chunk)

    def finish(self) -> MediaType:
        """The whole body came: its type.

        Raises:
            EmptyBody, and as `feed`.
        """
        media_type = self._inspector.finish()
        if self._stored and self._writer is None:
            self._begin()
        return media_type

    def commit(self) -> None:
        """Make the original durable, after `finish`.

        Raises:
            Expired, AlreadyExists, StorageFull: as `ObjectWriter.commit`; nothing is left.
        """
        assert self._writer is not None
        self._writer.commit()

    def abort(self) -> None:
        """Leave nothing behind. Does nothing after `commit`."""
        if self._writer is not None:
            self._writer.abort()

    def _begin(self) -> None:
        self._writer = self._vault.create(Address.original(self._image_id))
        self._writer.write(bytes(self._held_back))
        self._held_back.clear()
