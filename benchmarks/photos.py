"""The pictures that are uploaded: painted here, the same in every run, or yours (PHOTOS=folder)."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import pyvips

_PHONE = (4032, 3024)
_CAMERA = (4256, 2832)
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
        """12 megapixels in about 4 MB: like a phone's in size and in what it costs to decode."""
        return _jpeg(self._scene)

    @cached_property
    def small(self) -> bytes:
        """About 300 KB."""
        return _jpeg(self._scene.thumbnail_image(_SMALL_SIDE))

    @cached_property
    def tiny(self) -> bytes:
        return _jpeg(self._scene.crop(0, 0, 16, 16))

    @cached_property
    def sets(self) -> dict[str, list[bytes]]:
        """Photos by what they are: the JPEGs in PHOTOS of 8 megapixels or more; without PHOTOS one of 12 megapixels
        in each of the two shapes that cameras have."""
        folder = os.environ.get("PHOTOS")
        if not folder:
            return {"4032 x 3024": [self.photo], "4256 x 2832": [_jpeg(_paint(_CAMERA))]}
        names = [path for path in sorted(Path(folder).iterdir()) if path.suffix.lower() in (".jpg", ".jpeg")]
        bodies = [body for body in (path.read_bytes() for path in names) if _counts(body)]
        if not bodies:
            raise SystemExit(f"PHOTOS={folder}: no JPEG there has 8 megapixels or more and 10 MiB or less")
        return {f"{len(bodies)} of PHOTOS": bodies}

    @cached_property
    def _scene(self) -> Any:
        return _paint(_PHONE)


def _jpeg(image: Any) -> bytes:
    return bytes(image.jpegsave_buffer(Q=_QUALITY))


def _paint(size: tuple[int, int]) -> Any:
    light = sum(_noise(size, *octave, seed=number) for number, octave in enumerate(_OCTAVES))
    bands = [light + _noise(size, *_HUE, seed=10 + band) + 128 for band in range(3)]
    grain = pyvips.Image.gaussnoise(*size, sigma=_GRAIN, mean=0, seed=20)
    return (bands[0].bandjoin(bands[1:]) + grain).cast("uchar").copy(interpretation="srgb").copy_memory()


def _noise(size: tuple[int, int], cell: int, amplitude: int, shrink: int, seed: int) -> Any:
    width, height = size
    small = pyvips.Image.perlin(width // shrink + 2, height // shrink + 2, cell_size=cell // shrink, seed=seed)
    return small.resize(shrink).crop(0, 0, width, height) * amplitude


def _counts(body: bytes) -> bool:
    image = pyvips.Image.new_from_buffer(body, "")
    return bool(len(body) <= _MOST_BYTES and image.width * image.height >= _LEAST_PIXELS)
