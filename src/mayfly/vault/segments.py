"""The sealed format: AES-256-GCM in segments, so that bytes are sealed while they stream in and any range opens alone.

    header   4 bytes   magic and format version, `MFS1`
            32 bytes   salt, random for every write
             7 bytes   nonce prefix, random for every write
    then segments of 64 KiB of plaintext, each followed by its 16-byte tag; the last may be shorter, or empty

The key of one write is HKDF-SHA256(minute key, salt, info = magic + address). A segment's nonce is the prefix, a
32-bit counter and a byte that is 1 for the last segment only: the STREAM construction of Hoang, Reyhanitabar,
Rogaway and Vizár (2015, https://eprint.iacr.org/2015/189). A cut, swapped, repeated or moved segment does not open.
"""

import secrets
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mayfly.model.errors import Unopenable

MAGIC = b"MFS1"
SALT_BYTES = 32
PREFIX_BYTES = 7
HEADER_BYTES = len(MAGIC) + SALT_BYTES + PREFIX_BYTES
SEGMENT_BYTES = 64 * 1024
TAG_BYTES = 16
SEALED_SEGMENT_BYTES = SEGMENT_BYTES + TAG_BYTES


def sealed_size(plain: int) -> int:
    """Stored bytes of `plain` bytes once sealed."""
    segments = max(1, -(-plain // SEGMENT_BYTES))
    return HEADER_BYTES + plain + segments * TAG_BYTES


def plain_size(sealed: int) -> int:
    """The inverse of `sealed_size`.

    Raises:
        Unopenable: no sealed object has this size.
    """
    body = sealed - HEADER_BYTES
    segments = max(1, -(-body // SEALED_SEGMENT_BYTES))
    plain = body - segments * TAG_BYTES
    if plain < 0 or sealed_size(plain) != sealed:
        raise Unopenable("the sealed object was cut")
    return plain


class SegmentCipher:
    """The cipher of one write: a key, a nonce prefix and a counter."""

    def __init__(self, minute_key: bytes, address: str, salt: bytes, prefix: bytes) -> None:
        info = MAGIC + address.encode()
        self._aead = AESGCM(HKDF(SHA256(), 32, salt, info).derive(minute_key))
        self._prefix = prefix

    @classmethod
    def fresh(cls, minute_key: bytes, address: str) -> tuple["SegmentCipher", bytes]:
        """A cipher for a new write, and the header to store before its segments."""
        salt, prefix = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(PREFIX_BYTES)
        return cls(minute_key, address, salt, prefix), MAGIC + salt + prefix

    @classmethod
    def of_header(cls, minute_key: bytes, address: str, header: bytes) -> "SegmentCipher":
        """The cipher of a stored write.

        Raises:
            Unopenable: the header is none of this format.
        """
        if len(header) != HEADER_BYTES or header[: len(MAGIC)] != MAGIC:
            raise Unopenable("this is no sealed object of a format this Mayfly reads")
        body = header[len(MAGIC) :]
        return cls(minute_key, address, body[:SALT_BYTES], body[SALT_BYTES:])

    def seal(self, index: int, plain: bytes | bytearray | memoryview, *, last: bool) -> bytes:
        return self._aead.encrypt(self._nonce(index, last), plain, None)

    def open(self, index: int, sealed: bytes, *, last: bool) -> bytes:
        """The plaintext of one segment.

        Raises:
            Unopenable: it was altered, cut or moved, or the key is another.
        """
        try:
            return self._aead.decrypt(self._nonce(index, last), sealed, None)
        except InvalidTag:
            raise Unopenable("the sealed object was altered, cut or moved") from None

    def open_into(self, index: int, sealed: bytes, room: memoryview, *, last: bool) -> None:
        """As `open`; the plaintext goes into `room`, which is exactly as long."""
        try:
            self._aead.decrypt_into(self._nonce(index, last), sealed, None, room)
        except InvalidTag:
            raise Unopenable("the sealed object was altered, cut or moved") from None

    def _nonce(self, index: int, last: bool) -> bytes:
        return self._prefix + struct.pack(">IB", index, last)
