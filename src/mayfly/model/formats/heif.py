"""HEIC and AVIF: boxes (ISO/IEC 14496-12), brands in the first, the sizes of all items under meta/iprp/ipco."""

import struct
from collections.abc import Iterator

from mayfly.model.formats.size import Size
from mayfly.model.image import MediaType

BRAND_BYTES = 256
"""Brands are looked for this far."""

_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"MiHA", b"MiHB", b"MiHE"})
_AVIF = frozenset({b"avif", b"avis", b"avio", b"MA1A", b"MA1B"})
_CONTAINERS = frozenset({b"mif1", b"mif2", b"msf1", b"miaf"})
"""Brands of the container alone: the codec is told by a compatible brand."""


def sniff(head: bytes) -> MediaType | None:
    """By the first brand that names a codec, so that more bytes never change the answer.

    The major brand has to be ours: films and raw photos list image brands among their compatible ones.
    """
    brands = _brands(head[:BRAND_BYTES])
    if not brands or brands[0] not in _HEIC | _AVIF | _CONTAINERS:
        return None
    for brand in brands:
        if brand in _HEIC:
            return MediaType.HEIC
        if brand in _AVIF:
            return MediaType.AVIF
    return None


def dimensions(head: bytes) -> Size | None:
    """The largest item's: a picture made of tiles lists the size of its tiles too, and so does a thumbnail."""
    sizes = [
        size
        for meta in _children(head, 0, len(head), b"meta")
        for iprp in _children(head, meta[0] + 4, meta[1], b"iprp")
        for ipco in _children(head, *iprp, b"ipco")
        for ispe in _children(head, *ipco, b"ispe")
        if (size := _ispe(head, *ispe))
    ]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _brands(head: bytes) -> list[bytes]:
    """Major brand first; the four bytes after it are its version."""
    if head[4:8] != b"ftyp":
        return []
    start, end = next(_boxes(head, 0, len(head)), (b"", 0, 0))[1:]
    words = [head[at : at + 4] for at in range(start, min(end, len(head)) - 3, 4)]
    return words[:1] + words[2:]


def _ispe(head: bytes, start: int, end: int) -> Size | None:
    """Version and flags (4), width (4), height (4)."""
    if start + 12 > min(end, len(head)):
        return None
    width, height = struct.unpack_from(">II", head, start + 4)
    return width, height


def _children(head: bytes, start: int, end: int, kind: bytes) -> Iterator[tuple[int, int]]:
    return ((inner, stop) for name, inner, stop in _boxes(head, start, end) if name == kind)


def _boxes(head: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start of content, end) of each box whose header is in view. The end may lie past the head.

    A size of 0 means "to the end", 1 means that 64 bits of size follow; one too small for its own header ends the walk.
    """
    while start + 8 <= min(end, len(head)):
        size, kind = struct.unpack_from(">I4s", head, start)
        inner = start + 8
        if size == 1:
            if inner + 8 > len(head):
                return
            size, inner = struct.unpack_from(">Q", head, inner)[0], inner + 8
        stop = end if size == 0 else start + size
        if stop < inner:
            return
        yield kind, inner, min(stop, end)
        start = stop
