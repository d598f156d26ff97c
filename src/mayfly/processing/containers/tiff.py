"""TIFF: directories and the strips or tiles they point to (TIFF 6.0, section 2; BigTIFF)."""

from collections.abc import Iterator
from dataclasses import dataclass

from mayfly.processing.containers.reader import Cut, Malformed, number, piece

_OFFSETS = {273: 279, 324: 325}  # StripOffsets: StripByteCounts, TileOffsets: TileByteCounts
# Bytes of a value by field type: BYTE, ASCII, SHORT, LONG, RATIONAL and so on to IFD; LONG8, SLONG8 and IFD8.
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


@dataclass(frozen=True, slots=True)
class _Layout:
    order: str
    word: int  # bytes of an offset: 4, or 8 in BigTIFF
    count: int  # bytes of the number of entries
    entry: int  # bytes of an entry


def walk_tiff(data: memoryview, most_frames: int) -> int:
    """The pages, counted no further than one past `most_frames`."""
    layout, position = _start(data)
    seen: set[int] = set()
    left = len(data)  # the file can hold no more pointers than this: a bound on work, whatever it claims
    while position:
        if position in seen:
            raise Malformed
        seen.add(position)
        if len(seen) > most_frames:
            return len(seen)
        entries = number(data, position, layout.count, layout.order)
        table = position + layout.count
        piece(data, table, entries * layout.entry)
        left -= _check_page(data, layout, table, entries, left)
        position = number(data, table + entries * layout.entry, layout.word, layout.order)
    if not seen:
        raise Malformed
    return len(seen)


def _start(data: memoryview) -> tuple[_Layout, int]:
    order = {b"II": "little", b"MM": "big"}.get(bytes(data[:2]))
    if order is None:
        raise Malformed
    magic = number(data, 2, 2, order)
    if magic == 42:
        return _Layout(order, word=4, count=2, entry=12), number(data, 4, 4, order)
    if magic == 43:
        return _Layout(order, word=8, count=8, entry=20), number(data, 8, 8, order)
    raise Malformed


def _check_page(data: memoryview, layout: _Layout, table: int, entries: int, left: int) -> int:
    """See that a page's values and its strips or tiles lie within the file; the number of pointers followed."""
    fields = {}
    for entry in range(table, table + entries * layout.entry, layout.entry):
        fields[number(data, entry, 2, layout.order)] = _values(data, layout, entry)
    followed = entries
    for offsets, counts in _OFFSETS.items():
        for start, length in zip(fields.get(offsets, ()), fields.get(counts, ()), strict=False):
            followed += 1
            if followed > left:
                raise Malformed
            if start + length > len(data):
                raise Cut
    return followed


def _values(data: memoryview, layout: _Layout, entry: int) -> Iterator[int]:
    """An entry's values as numbers, read when asked for; where they stand is checked at once."""
    width = _WIDTHS.get(
        number(data, entry + 2, 2, layout.order), 0
    )  # a type of the future: its values are not looked at
    count = number(data, entry + 4, layout.word, layout.order)
    inline = entry + 4 + layout.word
    start = inline if count * width <= layout.word else number(data, inline, layout.word, layout.order)
    block = piece(data, start, count * width)
    return (number(block, at * width, width, layout.order) for at in range(count if width else 0))
