"""PNG: chunks to IEND (W3C PNG, third edition, sections 5.3 and 11.3.6.1)."""

from mayfly.processing.containers.reader import Malformed, number, piece

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AROUND = 12  # length, type and CRC around a chunk's data


def walk_png(data: memoryview, most_frames: int) -> int:
    """The frames an animation announces (acTL), or 1."""
    if bytes(data[:8]) != _SIGNATURE[: len(data)]:
        raise Malformed
    position, frames = 8, 1
    while True:
        length = number(data, position, 4)
        kind = bytes(piece(data, position + 4, 4))
        piece(data, position, length + _AROUND)
        if kind == b"IEND":
            return frames
        if kind == b"acTL":
            frames = number(data, position + 8, 4)
            if frames > most_frames:
                return frames
        position += length + _AROUND
