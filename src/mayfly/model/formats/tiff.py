"""TIFF and BigTIFF in either byte order. The first directory may lie anywhere; often it lies past the head."""

import struct
from dataclasses import dataclass

from mayfly.model.formats.size import Size
from mayfly.model.image import MediaType

_WIDTH, _HEIGHT = 256, 257
_VALUE_CODES = {3: "H", 4: "I", 16: "Q"}
"""SHORT, LONG and LONG8: the types in which a size is written."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a directory is laid out: struct codes of its count and of an offset, and the bytes of an entry."""

    order: str
    count_code: str
    offset_code: str
    offset_at: int
    entry_bytes: int


def _classic(order: str) -> _Layout:
    return _Layout(order, "H", "I", 4, 12)


def _big(order: str) -> _Layout:
    return _Layout(order, "Q", "Q", 8, 20)


_LAYOUTS = {
    b"II*\x00": _classic("<"),
    b"MM\x00*": _classic(">"),
    b"II+\x00\x08\x00\x00\x00": _big("<"),
    b"MM\x00+\x00\x08\x00\x00": _big(">"),
}


def sniff(head: bytes) -> MediaType | None:
    return MediaType.TIFF if _layout(head) else None


def dimensions(head: bytes) -> Size | None:
    layout = _layout(head)
    if layout is None:
        return None
    width, height = (_largest(head, layout, tag) for tag in (_WIDTH, _HEIGHT))
    return None if width is None or height is None else (width, height)


def _layout(head: bytes) -> _Layout | None:
    return _LAYOUTS.get(head[:4]) or _LAYOUTS.get(head[:8])


def _largest(head: bytes, layout: _Layout, tag: int) -> int | None:
    """The tag's value in the first directory. A tag written twice counts with its larger value: readers differ."""
    directory = _read(head, layout.order + layout.offset_code, layout.offset_at)
    count = None if directory is None else _read(head, layout.order + layout.count_code, directory)
    if directory is None or count is None:
        return None
    first = directory + struct.calcsize("=" + layout.count_code)
    last = min(first + count * layout.entry_bytes, len(head))
    values = (_value(head, layout, entry, tag) for entry in range(first, last, layout.entry_bytes))
    return max((value for value in values if value is not None), default=None)


def _value(head: bytes, layout: _Layout, entry: int, tag: int) -> int | None:
    if _read(head, layout.order + "H", entry) != tag:
        return None
    code = _VALUE_CODES.get(_read(head, layout.order + "H", entry + 2) or 0)
    value_at = entry + 4 + struct.calcsize("=" + layout.offset_code)
    return None if code is None else _read(head, layout.order + code, value_at)


def _read(head: bytes, code: str, position: int) -> int | None:
    if position + struct.calcsize(code) > len(head):
        return None
    value: int = struct.unpack_from(code, head, position)[0]
    return value
