"""GIF: a logical screen, and a first frame that may claim to be larger than it."""

import struct

from mayfly.model.formats.size import Size
from mayfly.model.image import MediaType

_SIGNATURES = (b"GIF87a", b"GIF89a")
_SCREEN_BYTES = 13
_EXTENSION, _FRAME = b"\x21", b"\x2c"


def sniff(head: bytes) -> MediaType | None:
    return MediaType.GIF if head.startswith(_SIGNATURES) else None


def dimensions(head: bytes) -> Size | None:
    """The larger of screen and first frame, each way: a decoder may allocate for either."""
    if len(head) < _SCREEN_BYTES:
        return None
    width, height, packed = struct.unpack_from("<HHB", head, 6)
    colours = 3 << ((packed & 7) + 1) if packed & 0x80 else 0
    frame_width, frame_height = _first_frame(head, _SCREEN_BYTES + colours)
    return max(width, frame_width), max(height, frame_height)


def _first_frame(head: bytes, position: int) -> Size:
    while head[position : position + 1] == _EXTENSION:
        position = _after_blocks(head, position + 2)
    if head[position : position + 1] != _FRAME or position + 9 > len(head):
        return 0, 0
    width, height = struct.unpack_from("<HH", head, position + 5)
    return width, height


def _after_blocks(head: bytes, position: int) -> int:
    """Past the sub-blocks of an extension: each is its length and so many bytes; a length of 0 ends them."""
    while position < len(head) and head[position]:
        position += 1 + head[position]
    return position + 1
