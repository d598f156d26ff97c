"""The shortest honest beginning of each format, with the size of one's choice."""

import struct
from collections.abc import Callable

import pytest

from mayfly.model.image import MediaType

Maker = Callable[[int, int], bytes]


Header = tuple[MediaType, Maker, int]
"""Its type, its maker by width and height, and the longest side that it can state, up to 50,000."""


def jpeg(width: int, height: int) -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", 20) + b"Exif\0\0" + b"\0" * 12
    frame = b"\xff\xff\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\1\x11\0"
    return b"\xff\xd8" + exif + b"\xff\xd0" + frame + b"\xff\xda\0\2"


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 2, 0, 0, 0) + b"\0" * 4


def gif(width: int, height: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0" * 6
    comment = b"\x21\xfe\3abc\0"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\0"
    return screen + comment + frame


def riff(chunk: bytes, data: bytes) -> bytes:
    body = b"WEBP" + chunk + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_lossy(width: int, height: int) -> bytes:
    return riff(b"VP8 ", b"\x10\0\0\x9d\1\x2a" + struct.pack("<HH", width, height) + b"\0" * 8)


def webp_lossless(width: int, height: int) -> bytes:
    return riff(b"VP8L", b"\x2f" + struct.pack("<I", (height - 1) << 14 | (width - 1)) + b"\0" * 8)


def webp_extended(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff(b"VP8X", b"\0\0\0\0" + sides)


def tiff(order: str, code: str) -> Maker:
    kind = {"H": 3, "I": 4}[code]
    mark = b"II" if order == "<" else b"MM"

    def entry(tag: int, value: int) -> bytes:
        return struct.pack(f"{order}HHI{code}", tag, kind, 1, value).ljust(12, b"\0")

    def make(width: int, height: int) -> bytes:
        start = mark + struct.pack(order + "HIH", 42, 8, 2)
        return start + entry(256, width) + entry(257, height) + b"\0" * 4

    return make


def big_tiff(order: str) -> Maker:
    mark = b"II" if order == "<" else b"MM"

    def make(width: int, height: int) -> bytes:
        start = mark + struct.pack(order + "HHHQQ", 43, 8, 0, 16, 2)
        entries = (struct.pack(order + "HHQQ", tag, 16, 1, side) for tag, side in ((256, width), (257, height)))
        return start + b"".join(entries) + b"\0" * 8

    return make


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def long_box(kind: bytes, content: bytes) -> bytes:
    """The same box with its size written in 64 bits."""
    return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    return box(b"ftyp", major + b"\0" * 4 + b"".join(compatible))


def ispe(width: int, height: int) -> bytes:
    return box(b"ispe", b"\0" * 4 + struct.pack(">II", width, height))


def meta(*properties: bytes) -> bytes:
    handler = box(b"hdlr", b"\0" * 8 + b"pict" + b"\0" * 13)
    return box(b"meta", b"\0" * 4 + handler + long_box(b"iprp", box(b"ipco", b"".join(properties))))


def heif(major: bytes, *compatible: bytes) -> Maker:
    def make(width: int, height: int) -> bytes:
        tile = ispe(min(width, 512), min(height, 512))
        return ftyp(major, *compatible) + meta(tile, ispe(width, height), box(b"pixi", b"\0" * 8))

    return make


HEADERS: dict[str, Header] = {
    "jpeg": (MediaType.JPEG, jpeg, 50_000),
    "png": (MediaType.PNG, png, 50_000),
    "gif": (MediaType.GIF, gif, 50_000),
    "webp lossy": (MediaType.WEBP, webp_lossy, 16_383),
    "webp lossless": (MediaType.WEBP, webp_lossless, 16_384),
    "webp extended": (MediaType.WEBP, webp_extended, 50_000),
    "tiff little-endian": (MediaType.TIFF, tiff("<", "I"), 50_000),
    "tiff big-endian": (MediaType.TIFF, tiff(">", "I"), 50_000),
    "tiff short": (MediaType.TIFF, tiff(">", "H"), 50_000),
    "bigtiff little-endian": (MediaType.TIFF, big_tiff("<"), 50_000),
    "bigtiff big-endian": (MediaType.TIFF, big_tiff(">"), 50_000),
    "heic": (MediaType.HEIC, heif(b"heic", b"mif1", b"heic"), 50_000),
    "heic by compatible brand": (MediaType.HEIC, heif(b"mif1", b"miaf", b"heix"), 50_000),
    "heic sequence": (MediaType.HEIC, heif(b"msf1", b"hevc"), 50_000),
    "avif": (MediaType.AVIF, heif(b"avif", b"mif1", b"miaf"), 50_000),
    "avif by compatible brand": (MediaType.AVIF, heif(b"mif1", b"avif"), 50_000),
    "avif sequence": (MediaType.AVIF, heif(b"avis", b"msf1"), 50_000),
}


@pytest.fixture(scope="session", params=list(HEADERS.values()), ids=list(HEADERS))
def header(request: pytest.FixtureRequest) -> Header:
    found: Header = request.param
    return found
