"""WebP: a RIFF file whose first chunk is a lossy frame, a lossless one, or the extended header."""

import struct

from mayfly.model.formats.size import Size
from mayfly.model.image import MediaType

_CHUNKS = (b"VP8 ", b"VP8L", b"VP8X")
_DATA = 20
"""Where the first chunk's data begins: 12 bytes of RIFF header, 8 of chunk header."""


def sniff(head: bytes) -> MediaType | None:
    known = head.startswith(b"RIFF") and head[8:12] == b"WEBP" and head[12:16] in _CHUNKS
    return MediaType.WEBP if known else None


def dimensions(head: bytes) -> Size | None:
    if len(head) < _DATA + 10:
        return None
    chunk = head[12:16]
    if chunk == b"VP8X":
        return _uint24(head, _DATA + 4) + 1, _uint24(head, _DATA + 7) + 1
    if chunk == b"VP8L" and head[_DATA] == 0x2F:
        packed = int.from_bytes(head[_DATA + 1 : _DATA + 5], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 " and head[_DATA + 3 : _DATA + 6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, _DATA + 6)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _uint24(head: bytes, position: int) -> int:
    return int.from_bytes(head[position : position + 3], "little")
