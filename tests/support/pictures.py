"""Pictures made for tests: small ones of every format, and hostile ones."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import pyvips

BOMB_SIDE = 50_000
"""Pixels: 2.5 gigapixels, in a file of a few bytes."""


def gradient(width: int, height: int) -> Any:
    picture = pyvips.Image.xyz(width, height)[0] * 255 / width
    return picture.bandjoin([128, 200]).cast("uchar").copy(interpretation="srgb")


def noise(width: int, height: int) -> Any:
    """Hardly compressible, so that its file is large."""
    return pyvips.Image.gaussnoise(width, height, mean=128, sigma=40).cast("uchar").copy(interpretation="b-w")


ENCODED: dict[str, Callable[[Any], bytes]] = {
    "image/jpeg": lambda image: image.jpegsave_buffer(Q=80),
    "image/png": lambda image: image.pngsave_buffer(),
    "image/webp": lambda image: image.webpsave_buffer(),
    "image/gif": lambda image: image.gifsave_buffer(),
    "image/tiff": lambda image: image.tiffsave_buffer(),
    "image/avif": lambda image: image.heifsave_buffer(compression="av1", effort=0),
}
"""Every format taken, but HEIC: no library here writes it."""


def png_bomb() -> bytes:
    header = struct.pack(">IIBBBBB", BOMB_SIDE, BOMB_SIDE, 8, 2, 0, 0, 0)
    chunks = (b"IHDR" + header, b"IDAT" + zlib.compress(bytes(100_000)), b"IEND")
    body = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def gif(frames: int, side: int = 1) -> bytes:
    """Frames of one pixel each, on a screen of that size."""
    screen = b"GIF89a" + struct.pack("<HH", side, side) + b"\x80\x00\x00" + b"\x00\x00\x00\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\x00" + b"\x02\x02\x4c\x01\x00"
    return screen + frame * frames + b";"
