"""The pictures that are uploaded: painted here, the same in every run, or yours (PHOTOS=folder)."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import pyvips

_PHOTO = (4032, 3024)
_SMALL_SIDE = 1400
_QUALITY = 92

# Light and shadow, then detail, then texture: cell in pixels, amplitude, and how much smaller it is painted first
# (what is smooth can be enlarged, and painting is slow).
_OCTAVES = ((512, 60, 8), (64, 30, 4), (16, 14, 1))
_HUE = (700, 40, 8)
_GRAIN = 6
_MOST_BYTES = 10 * 2**20
_LEAST_PIXELS = 8_000_000


class Photos:
    """JPEGs, in memory."""

    @cached_property
    def photo(self) -> bytes:
        """12 megapixels in about 4 MB: like a camera's in size and in what it costs to decode."""
        return bytes(self._scene.jpegsave_buffer(Q=_QUALITY))

    @cached_property
    def small(self) -> bytes:
        """About 300 KB."""
        return bytes(self._scene.thumbnail_image(_SMALL_SIDE).jpegsave_buffer(Q=_QUALITY))

    @cached_property
    def tiny(self) -> bytes:
        return bytes(self._scene.crop(0, 0, 16, 16).jpegsave_buffer(Q=_QUALITY))

    @cached_property
    def chosen(self) -> list[bytes]:
        """The camera photos in PHOTOS, each of 8 megapixels or more; without PHOTOS, the painted one."""
        folder = os.environ.get("PHOTOS")
        if not folder:
            return [self.photo]
        found = [
            path.read_bytes() for path in sorted(Path(folder).iterdir()) if path.suffix.lower() in (".jpg", ".jpeg")
        ]
        found = [body for body in found if len(body) <= _MOST_BYTES and _pixels(body) >= _LEAST_PIXELS]
        if not found:
            raise SystemExit(f"PHOTOS={folder}: no JPEG there has 8 megapixels or more and 10 MiB or less")
        return found

    @cached_property
    def _scene(self) -> Any:
        light = sum(_noise(*octave, seed=number) for number, octave in enumerate(_OCTAVES))
        bands = [light + _noise(*_HUE, seed=10 + band) + 128 for band in range(3)]
        grain = pyvips.Image.gaussnoise(*_PHOTO, sigma=_GRAIN, mean=0, seed=20)
        return (bands[0].bandjoin(bands[1:]) + grain).cast("uchar").copy(interpretation="srgb").copy_memory()


def _noise(cell: int, amplitude: int, shrink: int, seed: int) -> Any:
    width, height = _PHOTO
    small = pyvips.Image.perlin(width // shrink + 2, height // shrink + 2, cell_size=cell // shrink, seed=seed)
    return small.resize(shrink).crop(0, 0, width, height) * amplitude


def _pixels(body: bytes) -> int:
    image = pyvips.Image.new_from_buffer(body, "")
    return int(image.width * image.height)
