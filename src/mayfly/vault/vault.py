"""The vault: seals what goes into the object store and opens what comes out, while the image lives."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mayfly.model.address import Address
from mayfly.model.errors import Erased, Expired, KeyDestroyed, Unopenable
from mayfly.model.identity import ImageId
from mayfly.model.image import Personal
from mayfly.model.instant import minute_label
from mayfly.ports.clock import Clock
from mayfly.ports.key_store import Keys
from mayfly.ports.object_store import ObjectReader, ObjectStore, ObjectWriter
from mayfly.vault.segments import (
    HEADER_BYTES,
    SEALED_SEGMENT_BYTES,
    SEGMENT_BYTES,
    SegmentCipher,
    plain_size,
)

_FORM_INFO = b"mayfly upload form 1 "


class Vault:
    """Opens nothing that is due or erased, whatever the stores still hold."""

    def __init__(self, objects: ObjectStore, keys: Keys, clock: Clock) -> None:
        self._objects = objects
        self._keys = keys
        self._clock = clock

    def create(self, address: Address, *, replace: bool = False) -> "SealedWriter":
        """Begin a sealed write.

        Raises:
            Expired, Erased: the image is gone.
            KeyNotMade, StorageFull: not now.
        """
        self.refuse_gone(address.image_id)
        cipher, header = SegmentCipher.fresh(self._key(address.image_id), str(address))
        return SealedWriter(self._objects.create(address, replace=replace), cipher, header)

    def open(self, address: Address) -> "SealedReader":
        """Open for reading.

        Raises:
            Expired, Erased: the image is gone.
            ObjectMissing: nothing stands there.
            Unopenable: what stands there is none of ours.
        """
        self.refuse_gone(address.image_id)
        key = self._key(address.image_id)
        reader = self._objects.open(address)
        try:
            return SealedReader(reader, key, address, self)
        except BaseException:
            reader.close()
            raise

    def seal_personal(self, image_id: ImageId, personal: Personal) -> bytes:
        """The record's personal fields as one blob, bound to the record."""
        cipher, header = SegmentCipher.fresh(self._key(image_id), _record_address(image_id))
        return header + cipher.seal(0, json.dumps(asdict(personal)).encode(), last=True)

    def open_personal(self, image_id: ImageId, sealed: bytes) -> Personal:
        """The inverse of `seal_personal`.

        Raises:
            Expired, Erased: the image is gone.
            Unopenable: the blob was altered or belongs to another record.
        """
        self.refuse_gone(image_id)
        cipher = SegmentCipher.of_header(self._key(image_id), _record_address(image_id), sealed[:HEADER_BYTES])
        return Personal(**json.loads(cipher.open(0, sealed[HEADER_BYTES:], last=True)))

    def form_secret(self, image_id: ImageId) -> str:
        """What this image's upload form is signed with: 64 hex digits, which die with the minute key.

        HKDF-SHA256 (RFC 5869) of the minute key, without salt; its info is no sealed object's, nor another image's.

        Raises:
            Expired: the minute key is destroyed.
            KeyNotMade: the minute has none yet.
        """
        return HKDF(SHA256(), 32, None, _FORM_INFO + image_id.raw).derive(self._key(image_id)).hex()

    def refuse_gone(self, image_id: ImageId) -> None:
        """Raise Expired or Erased for an image that may not be read any more."""
        if self._clock.now() >= image_id.expires_at:
            raise Expired("the image has expired")
        if self._keys.is_erased(image_id):
            raise Erased("the image was erased")

    def _key(self, image_id: ImageId) -> bytes:
        try:
            return self._keys.key(image_id.expiry_minute)
        except KeyDestroyed:
            raise Expired("the image has expired") from None


class SealedWriter:
    """One object being sealed while it streams in; holds at most one segment. Used by one thread at a time."""

    def __init__(self, writer: ObjectWriter, cipher: SegmentCipher, header: bytes) -> None:
        self._writer = writer
        self._cipher = cipher
        self._pending = bytearray()
        self._index = 0
        self._header: bytes | None = header
        self.size = 0
        """Unsealed bytes so far."""

    def write(self, data: bytes | memoryview) -> None:
        """Append.

        Raises:
            StorageFull: no room; the caller aborts.
        """
        view = memoryview(data)
        self.size += len(view)
        # A full segment is sealed only when a byte follows it: the last one carries the flag.
        while len(self._pending) + len(view) > SEGMENT_BYTES:
            missing = SEGMENT_BYTES - len(self._pending)
            if self._pending:
                self._pending += view[:missing]
                self._seal(self._pending, last=False)
                self._pending.clear()
            else:
                self._seal(view[:missing], last=False)
            view = view[missing:]
        self._pending += view

    def commit(self) -> None:
        """Seal the last segment and make the object durable.

        Raises:
            Expired, AlreadyExists, StorageFull: as `ObjectWriter.commit`; nothing is left.
        """
        try:
            self._seal(self._pending, last=True)
            self._pending.clear()
            self._writer.commit()
        except BaseException:
            self._writer.abort()
            raise

    def abort(self) -> None:
        self._pending.clear()
        self._writer.abort()

    def _seal(self, plain: bytearray | memoryview, *, last: bool) -> None:
        sealed = self._cipher.seal(self._index, plain, last=last)
        if self._header is not None:
            sealed, self._header = self._header + sealed, None
        self._index += 1
        self._writer.write(sealed)


class SealedReader:
    """One sealed object, open. `size` is its unsealed bytes."""

    def __init__(self, reader: ObjectReader, minute_key: bytes, address: Address, vault: Vault) -> None:
        self._reader = reader
        self._vault = vault
        self._image_id = address.image_id
        self.size = plain_size(reader.size)
        self._segments = max(1, -(-self.size // SEGMENT_BYTES))
        self._cipher = SegmentCipher.of_header(minute_key, str(address), reader.read(0, HEADER_BYTES))

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` to before `stop`, a segment at a time.

        Raises:
            Expired, Erased: looked at before each segment, so that a response that crosses its second is cut off.
            Unopenable: a segment was altered.
        """
        stop = self.size if stop is None else min(stop, self.size)
        first, after = start // SEGMENT_BYTES, -(-stop // SEGMENT_BYTES)
        for index in range(first, after):
            self._vault.refuse_gone(self._image_id)
            plain = self._cipher.open(index, self._sealed(index), last=index == self._segments - 1)
            begin = index * SEGMENT_BYTES
            yield plain[max(0, start - begin) : stop - begin]

    def read_into(self, room: memoryview) -> None:
        """All of it, into `room`, which is `size` bytes long. What stands there after an error is not to be used.

        Raises:
            Expired, Erased, Unopenable: as `chunks`.
        """
        for index in range(self._segments):
            part = room[index * SEGMENT_BYTES : (index + 1) * SEGMENT_BYTES]
            self._cipher.open_into(index, self._sealed(index), part, last=index == self._segments - 1)
        self._vault.refuse_gone(self._image_id)

    def refuse_gone(self) -> None:
        """Raise Expired or Erased once the image may not be read any more."""
        self._vault.refuse_gone(self._image_id)

    def close(self) -> None:
        self._reader.close()

    def _sealed(self, index: int) -> bytes:
        sealed = self._reader.read(HEADER_BYTES + index * SEALED_SEGMENT_BYTES, SEALED_SEGMENT_BYTES)
        if not sealed:
            raise Unopenable("the sealed object was cut")
        return sealed


def _record_address(image_id: ImageId) -> str:
    return f"record/{minute_label(image_id.expiry_minute)}/{image_id}"
