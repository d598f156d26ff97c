"""The one EXIF field that is asked for: Orientation (EXIF 2.32, section 4.6.4, tag 274)."""

from mayfly.processing.containers.reader import Cut, number

_ORIENTATION = 274
_MOST_ENTRIES = 500


def exif_orientation(exif: bytes) -> int:
    """1 to 8; 1 where there is none, or where the block is broken."""
    block = memoryview(exif.removeprefix(b"Exif\x00\x00"))
    order = "little" if bytes(block[:2]) == b"II" else "big"
    try:
        start = number(block, 4, 4, order)
        entries = min(number(block, start, 2, order), _MOST_ENTRIES)
        for at in range(start + 2, start + 2 + entries * 12, 12):
            if number(block, at, 2, order) == _ORIENTATION:
                value = number(block, at + 8, 2, order)
                return value if 1 <= value <= 8 else 1
    except Cut:
        return 1
    return 1
