"""GIF: blocks to the trailer (GIF89a specification, sections 15 to 27)."""

from mayfly.processing.containers.reader import Malformed, number

_TRAILER = 0x3B
_IMAGE = 0x2C
_EXTENSION = 0x21
_HEADER = 13
_DESCRIPTOR = 10


def walk_gif(data: memoryview, most_frames: int) -> int:
    """The frames, counted no further than one past `most_frames`."""
    number(data, 0, _HEADER)
    position = _HEADER + _colour_table(data[10])
    frames = 0
    while (kind := number(data, position, 1)) != _TRAILER:
        if kind == _IMAGE:
            frames += 1
            if frames > most_frames:
                return frames
            packed = number(data, position + 9, 1)
            position += _DESCRIPTOR + _colour_table(packed) + 1  # and the least code size of the LZW data
        elif kind == _EXTENSION:
            position += 2
        else:
            raise Malformed
        position = _after_sub_blocks(data, position)
    if not frames:
        raise Malformed
    return frames


def _colour_table(packed: int) -> int:
    """Bytes of the colour table that a packed field announces."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


def _after_sub_blocks(data: memoryview, position: int) -> int:
    while length := number(data, position, 1):
        position += 1 + length
    return position + 1
