"""Photos as a camera writes them: subsampled pixels of a scene, and around them what it knows of itself and its owner.

The directories are those of EXIF 2.32 (section 4.6), little-endian, with the thumbnail that cameras put into IFD1.
"""

import random
import struct
from dataclasses import dataclass
from typing import Any

import pyvips

from mayfly.demo import samples
from support.heic import heic

_ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 2, 3, 4, 5, 7
_EXIF_POINTER, _GPS_POINTER = 0x8769, 0x8825
_MAKER_NOTE_BYTES = 24_000

_Field = tuple[int, int, bytes]
"""Type, count, value."""


@dataclass(frozen=True, slots=True)
class Photo:
    """`told` is what stands in the file beside the picture: maker's note, thumbnail, place, owner, XMP."""

    name: str
    body: bytes
    told: tuple[bytes, ...] = ()


def scene(seed: int) -> Any:
    """3,200 x 2,400 pixels of a painted landscape, mirrored and turned, with a sensor's grain over all of it."""
    painted = pyvips.Image.new_from_buffer(next(samples.painted(fast=True)).body, "")
    four = [painted, painted.fliphor(), painted.flipver(), painted.rot180()]
    joined = pyvips.Image.arrayjoin(four, across=2)
    grain = pyvips.Image.gaussnoise(joined.width, joined.height, mean=0, sigma=6, seed=seed)
    return (joined + grain).cast("uchar").copy(interpretation="srgb").copy_memory()


def camera_jpeg(pixels: Any, orientation: int, seed: int) -> Photo:
    """4:2:0, turned as `orientation` says."""
    chance = random.Random(seed)
    stored = samples.as_stored(pixels, orientation)
    plain = stored.jpegsave_buffer(Q=88, subsample_mode="on", keep="none")
    thumbnail = pixels.thumbnail_image(160).jpegsave_buffer(Q=75, keep="none")
    note = b"ImaginaryOptics\0\x01\0" + chance.randbytes(_MAKER_NOTE_BYTES)
    place = struct.pack("<6I", 52, 1, 31, 1, 123_456 + seed, 10_007)
    owner = f"Photographer {chance.getrandbits(64):x} of Quiet Street\0".encode()
    exif = b"Exif\0\0" + _tiff(orientation, note, place, owner, thumbnail)
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + owner[:-1] + b"</x:xmpmeta>"
    body = plain[:2] + _segment(exif) + _segment(xmp) + plain[2:]
    return Photo(f"IMG_{seed:04}.JPG", body, (note, thumbnail, place, owner, xmp))


def camera_heic(pixels: Any) -> Photo:
    """Its coder is our own, and slow: the scene in small, held sideways."""
    return Photo("IMG_0100.HEIC", heic(pixels.thumbnail_image(320, height=256, size="force"), turn=3))


def _segment(payload: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload


def _text(value: bytes) -> _Field:
    return _ASCII, len(value), value


def _whole(kind: int, value: int) -> _Field:
    return kind, 1, struct.pack("<H" if kind == _SHORT else "<I", value)


def _tiff(orientation: int, note: bytes, place: bytes, owner: bytes, thumbnail: bytes) -> bytes:
    exif = {
        0x829A: (_RATIONAL, 1, struct.pack("<2I", 1, 250)),
        0x9003: _text(b"2026:11:23 09:30:00\0"),
        0x927C: (_UNDEFINED, len(note), note),
        0xA430: _text(owner),
        0xA431: _text(b"SN-0042-1789-3356\0"),
    }
    gps = {
        1: _text(b"N\0"),
        2: (_RATIONAL, 3, place),
        3: _text(b"E\0"),
        4: (_RATIONAL, 3, struct.pack("<6I", 13, 1, 24, 1, 3_600, 100)),
    }
    # Lengths depend on no address: laid out once to learn them, then with the addresses they give.
    exif_at = gps_at = second_at = 0
    for _ in range(2):
        first = {
            0x010F: _text(b"Imaginary Optics\0"),
            0x0110: _text(b"Test 8\0"),
            0x0112: _whole(_SHORT, orientation),
            _EXIF_POINTER: _whole(_LONG, exif_at),
            _GPS_POINTER: _whole(_LONG, gps_at),
        }
        start = b"II*\0" + struct.pack("<I", 8) + _directory(8, first, second_at)
        exif_at = len(start)
        start += _directory(exif_at, exif)
        gps_at = len(start)
        start += _directory(gps_at, gps)
        second_at = len(start)
        second = {0x0103: _whole(_SHORT, 6), 0x0201: _whole(_LONG, 0), 0x0202: _whole(_LONG, len(thumbnail))}
        second[0x0201] = _whole(_LONG, second_at + len(_directory(second_at, second)))
        start += _directory(second_at, second)
    return start + thumbnail


def _directory(at: int, fields: dict[int, _Field], following: int = 0) -> bytes:
    """An IFD that stands at that address, with the values that are too long for their entries right behind it."""
    values_at, entries, values = at + 6 + 12 * len(fields), b"", b""
    for tag, (kind, count, value) in sorted(fields.items()):
        inline = len(value) <= 4
        entries += struct.pack("<HHI", tag, kind, count)
        entries += value.ljust(4, b"\0") if inline else struct.pack("<I", values_at + len(values))
        values += b"" if inline else value + bytes(len(value) % 2)
    return struct.pack("<H", len(fields)) + entries + struct.pack("<I", following) + values
