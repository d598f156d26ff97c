"""HEIC and AVIF: boxes, and the extents of the items in them (ISO/IEC 14496-12, sections 4.2 and 8.11.3)."""

from collections.abc import Iterator

from mayfly.processing.containers.reader import Cut, Malformed, number, piece

_MOST_BOXES = 10_000
_MOST_EXTENTS = 100_000
_IN_FILE = 0  # construction_method: the extents are offsets into the file


def walk_bmff(data: memoryview, most_frames: int) -> int:  # noqa: ARG001 - libheif counts the pictures, cheaply
    """Always 1. Every box must end within the file, and every item's extents lie there."""
    kinds = set()
    for kind, body in _boxes(data):
        kinds.add(kind)
        if kind == b"meta":
            _check_items(body[4:], len(data))
    if b"ftyp" not in kinds:
        raise Malformed
    if b"meta" not in kinds:
        raise Cut
    return 1


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    position = 0
    for _ in range(_MOST_BOXES):
        if position == len(data):
            return
        size, header = number(data, position, 4), 8
        kind = bytes(piece(data, position + 4, 4))
        if size == 1:
            size, header = number(data, position + 8, 8), 16
        elif size == 0:  # to the end of the file
            size = len(data) - position
        if size < header:
            raise Malformed
        yield kind, piece(data, position, size)[header:]
        position += size
    raise Malformed


def _check_items(meta: memoryview, file_size: int) -> None:
    for kind, body in _boxes(meta):
        if kind == b"iloc":
            for end in _extent_ends(body):
                if end > file_size:
                    raise Cut


def _extent_ends(iloc: memoryview) -> Iterator[int]:
    """Where each extent that lies in the file itself ends."""
    version = number(iloc, 0, 1)
    offset_size, length_size = divmod(number(iloc, 4, 1), 16)
    base_size, index_size = divmod(number(iloc, 5, 1), 16)
    id_size = 4 if version == 2 else 2
    items, position = number(iloc, 6, id_size), 6 + id_size
    left = _MOST_EXTENTS
    for _ in range(items):
        position += id_size
        method = number(iloc, position, 2) & 15 if version else _IN_FILE
        position += 4 if version else 2
        base = number(iloc, position, base_size)
        extents = number(iloc, position + base_size, 2)
        position += base_size + 2
        left -= extents + 1
        if left < 0:
            raise Malformed
        for _ in range(extents):
            position += index_size if version else 0
            offset = number(iloc, position, offset_size)
            length = number(iloc, position + offset_size, length_size)
            position += offset_size + length_size
            if method == _IN_FILE:
                yield base + offset + length
