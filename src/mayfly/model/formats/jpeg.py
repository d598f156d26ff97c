"""JPEG: segments, walked from marker to marker until the frame header (ITU-T T.81, annex B)."""

import re
import struct

from mayfly.model.formats.size import Size
from mayfly.model.image import MediaType

_START = b"\xff\xd8\xff"
_NOT_FILL = re.compile(rb"[^\xff]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15, without the markers of tables and extensions that lie among them."""
_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}
"""Markers that carry no length: restarts, start of image, TEM."""
_DEAD_ENDS = frozenset({0x00, 0xD9, 0xDA})
"""Entropy-coded data, end of image, start of scan: no frame header follows."""


def sniff(head: bytes) -> MediaType | None:
    return MediaType.JPEG if head.startswith(_START) else None


def dimensions(head: bytes) -> Size | None:
    position = 2
    while head[position : position + 1] == b"\xff":
        found = _NOT_FILL.search(head, position)
        if found is None:
            return None
        marker, position = head[found.start()], found.end()
        if marker in _FRAMES:
            return _frame_size(head, position)
        if marker in _DEAD_ENDS:
            return None
        if marker not in _BARE:
            length = int.from_bytes(head[position : position + 2], "big")
            if length < 2:
                return None
            position += length
    return None


def _frame_size(head: bytes, position: int) -> Size | None:
    """A frame header is length (2), precision (1), height (2), width (2)."""
    if position + 7 > len(head):
        return None
    height, width = struct.unpack_from(">HH", head, position + 3)
    return width, height
