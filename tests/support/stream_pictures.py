"""Pictures for a stream: small ones of every type, real photos, and any of them grown to a size that is asked for.

A picture gets a mark in a place that its format has for such things, so that no two files are the same. The same place
takes random bytes: a picture of 10 MiB costs little to make and little to decode.
"""

import random
import struct
import zlib
from pathlib import Path
from typing import Any

import pyvips

from support.heic import heic
from support.pictures import ENCODED, gradient

LIMIT = 10 << 20
"""Bytes, the largest image that is taken."""
ROOM = 1 << 16
"""Bytes that are left to a photo's mark below the limit."""

JPEG, PNG, AVIF, HEIC = "image/jpeg", "image/png", "image/avif", "image/heic"
SUFFIXES = {
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".png": PNG,
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".avif": AVIF,
    ".heic": HEIC,
}
LONGEST_COMMENT = 65_533

Picture = tuple[bytes, str]
"""A file and its media type."""


def bases(chance: random.Random) -> list[Picture]:
    """Small pictures of every type that is taken, and two full of noise."""
    sizes = ((64, 48), (160, 120), (320, 200))
    found = [(encode(gradient(*size)), kind) for kind, encode in ENCODED.items() if kind != AVIF for size in sizes]
    found.append((ENCODED[AVIF](gradient(64, 64)), AVIF))
    found.append((heic(gradient(64, 64)), HEIC))
    return found + [(ENCODED[kind](noise(600, 400, chance)), kind) for kind in (JPEG, PNG)]


def noise(width: int, height: int, chance: random.Random) -> Any:
    pixels = chance.randbytes(width * height * 3)
    return pyvips.Image.new_from_memory(pixels, width, height, 3, "uchar").copy(interpretation="srgb")


def photos(folder: Path) -> list[Picture]:
    """The photos of a folder that have room for a mark, in the order of their names."""
    found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
    return [(p.read_bytes(), SUFFIXES[p.suffix.lower()]) for p in found if p.stat().st_size <= LIMIT - ROOM]


def marked(body: bytes, media_type: str, mark: bytes) -> bytes:
    """The same picture with a mark in it."""
    if media_type == JPEG:
        parts = [mark[at : at + LONGEST_COMMENT] for at in range(0, len(mark), LONGEST_COMMENT)]
        return body[:2] + b"".join(map(_comment, parts)) + body[2:]
    if media_type == PNG:
        chunk, end = b"maYf" + mark, body.rindex(b"IEND") - 4
        return body[:end] + struct.pack(">I", len(mark)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + body[end:]
    if media_type in (AVIF, HEIC):
        return body + struct.pack(">I", len(mark) + 8) + b"free" + mark
    # WebP, GIF and TIFF: what stands behind the picture is nobody's.
    return body + mark


def grown(body: bytes, media_type: str, mark: bytes, size: int, filling: bytes) -> bytes:
    """Marked, and of exactly that size, which is larger than it was by more than the mark."""
    room = size - len(body)
    frames = {JPEG: 4 * (room // LONGEST_COMMENT + 1), PNG: 12, AVIF: 8, HEIC: 8}.get(media_type, 0)
    large = marked(body, media_type, mark + filling[: room - frames - len(mark)])
    # A JPEG may lack a few bytes; they may stand behind its end.
    return large + bytes(size - len(large))


def _comment(part: bytes) -> bytes:
    return b"\xff\xfe" + struct.pack(">H", len(part) + 2) + part
