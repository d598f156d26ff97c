"""Looking at pictures without trusting who made them: decoded here, turned by our own table, compared in small."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from operator import mul
from statistics import fmean

import pi_heif
import pyvips

SIDE = 32
"""Pictures are compared as squares of this many grey pixels: enough to tell a turn, too few to mind an encoder."""

Square = Sequence[float]
"""SIDE x SIDE grey values, row by row."""

_END = SIDE - 1

# Where the grey value of (x, y) in the upright square stands in the stored one, by EXIF orientation.
_TURNS: dict[int, Callable[[int, int], tuple[int, int]]] = {
    1: lambda x, y: (x, y),
    2: lambda x, y: (_END - x, y),
    3: lambda x, y: (_END - x, _END - y),
    4: lambda x, y: (x, _END - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (y, _END - x),
    7: lambda x, y: (_END - y, _END - x),
    8: lambda x, y: (_END - y, x),
}


@dataclass(frozen=True, slots=True)
class Source:
    """A picture as it was sent. `width` and `height` are upright; `square` is as stored, to be turned."""

    width: int
    height: int
    has_alpha: bool
    orientation: int
    square: Square
    is_jpeg: bool


def read_source(body: bytes, media_type: str) -> Source:
    """
    Raises:
        pyvips.Error, ValueError: it cannot be decoded.
    """
    if media_type == "image/heic":
        # libvips' wheels open the header of HEIC and no more. libheif turns by the container, which outranks EXIF.
        image, orientation = _decode_heic(body), 1
    else:
        image = pyvips.Image.new_from_buffer(body, "")
        turns_itself = media_type == "image/avif"
        orientation = 1 if turns_itself or not image.get_typeof("orientation") else int(image.get("orientation"))
    width, height = (image.height, image.width) if orientation >= 5 else (image.width, image.height)
    return Source(width, height, image.hasalpha(), orientation, to_square(image), media_type == "image/jpeg")


def to_square(image: pyvips.Image) -> Square:
    """The picture on white, in grey, squeezed to SIDE x SIDE; never turned."""
    small = image.thumbnail_image(SIDE, height=SIDE, size="force", no_rotate=True)
    if small.hasalpha():
        small = small.flatten(background=255)
    return [float(value) for value in bytes(small.colourspace("b-w").cast("uchar")[0].write_to_memory())]


def turned(square: Square, orientation: int) -> Square:
    """The square as a viewer shows it that obeys this EXIF orientation."""
    at = _TURNS[orientation]
    return [square[row * SIDE + column] for y in range(SIDE) for x in range(SIDE) for column, row in [at(x, y)]]


def likeness(one: Square, other: Square) -> float:
    """1 for the same picture, about 0 for unrelated ones: the correlation of their grey values.

    A picture of one tone correlates with nothing, so of two such the nearness of the tones is given.
    """
    mean_one, mean_other = fmean(one), fmean(other)
    from_mean_one, from_mean_other = [value - mean_one for value in one], [value - mean_other for value in other]
    spread_one, spread_other = _spread(from_mean_one), _spread(from_mean_other)
    if min(spread_one, spread_other) < 1:
        return 1 - abs(mean_one - mean_other) / 255 if max(spread_one, spread_other) < 3 else 0.0
    return fmean(map(mul, from_mean_one, from_mean_other)) / (spread_one * spread_other)


def _spread(from_mean: Square) -> float:
    return sqrt(fmean(map(mul, from_mean, from_mean)))


def metadata_in(image: pyvips.Image) -> list[str]:
    """The blocks of metadata that may tell about a person or a camera. A colour profile is none of them."""
    kinds = ("exif-data", "xmp", "iptc", "photoshop", "comment")
    return sorted(field for field in image.get_fields() if any(kind in field.lower() for kind in kinds))


def _decode_heic(body: bytes) -> pyvips.Image:
    picture = pi_heif.open_heif(body)[0]
    bands = len(picture.mode)
    if picture.stride == picture.size[0] * bands:
        pixels = bytes(picture.data)
    else:
        starts = range(0, picture.stride * picture.size[1] + 1, picture.stride)
        pixels = b"".join(bytes(picture.data[a:b])[: picture.size[0] * bands] for a, b in pairwise(starts))
    return pyvips.Image.new_from_memory(pixels, *picture.size, bands, "uchar").copy(interpretation="srgb")
