"""PNG: its header chunk comes first and holds the size."""

import struct

from mayfly.model.formats.size import Size
from mayfly.model.image import MediaType

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def sniff(head: bytes) -> MediaType | None:
    return MediaType.PNG if head.startswith(_SIGNATURE) else None


def dimensions(head: bytes) -> Size | None:
    if len(head) < 24 or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", head, 16)
    return width, height
