"""Non-personal findings about a picture, cheap ones: all are measured on a copy of at most 256 pixels a side.

A fixed size makes them comparable between pictures, whatever the camera's resolution; this one is the thumb's, which
is made anyway (512 would cost 8 ms of CPU more for each photo). A smaller picture is not
enlarged. One with transparency is judged as it looks on white.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mayfly.processing.picture import Picture
from mayfly.processing.steps import Resize

MEASURED_AT = Resize(256, 256)
"""Facts are measured on a picture of this size."""

_GRID = (36, 32)  # pixels: four by four of them to each cell of the 9 x 8 that `dhash` compares
_CELL = 4
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_GREEN = 1
_LAPLACIAN = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]

Pixel = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Findings:
    """Attributes:
    alpha: whether some pixel is not fully opaque.
    dominant_colour: `#rrggbb`.
    brightness: mean luma (BT.601), 0 black to 1 white.
    sharpness: variance of the Laplacian of the green channel, whose values are 0 to 255 (green is most of luma, and
        needs no conversion); about a tenth where a photo is blurred by 1/256 of its longer side, while finer softness
        does not show at this size. (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative
        study", ICPR 2000.)
    phash: 8 bytes, personal: see `dhash`.
    """

    alpha: bool
    dominant_colour: str
    brightness: float
    sharpness: float
    phash: bytes


def measure(picture: Picture) -> Findings:
    """From an upright picture of the size `MEASURED_AT` gives."""
    alpha = bool(picture.image.hasalpha())
    image = picture.image.flatten(background=255) if alpha else picture.image
    grid = bytes(image.thumbnail_image(_GRID[0], height=_GRID[1], size="force", no_rotate=True).write_to_memory())
    pixels = list(zip(grid[0::3], grid[1::3], grid[2::3], strict=True))
    luma = [_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue for red, green, blue in pixels]
    return Findings(
        alpha=alpha,
        dominant_colour=dominant_colour(pixels),
        brightness=round(sum(luma) / len(luma) / 255, 3),
        sharpness=sharpness(image),
        phash=dhash(luma),
    )


def sharpness(image: Any) -> float:
    if image.width * image.height == 1:
        return 0.0  # one pixel has no variance; libvips divides by zero
    deviation: float = image.extract_band(_GREEN).conv(_LAPLACIAN, precision="float").deviate()
    return round(deviation**2, 1)


def dominant_colour(pixels: list[Pixel]) -> str:
    """The mean of the pixels in the fullest of 512 boxes of colour (3 bits a channel)."""
    boxes: dict[Pixel, list[Pixel]] = {}
    for pixel in pixels:
        boxes.setdefault((pixel[0] >> 5, pixel[1] >> 5, pixel[2] >> 5), []).append(pixel)
    fullest = max(boxes.values(), key=len)
    return "#" + "".join(f"{round(sum(channel) / len(fullest)):02x}" for channel in zip(*fullest, strict=True))


def dhash(luma: list[float]) -> bytes:
    """A difference hash of 64 bits (N. Krawetz, "Kind of Like That", 2013): shrunk to 9 x 8, each bit tells whether a
    cell is darker than its right neighbour; row by row from the top left, the most significant bit first. Near
    pictures differ in few bits. It is personal, for a known picture can be looked up by it: it leaves the worker
    only to be keyed and dropped."""
    width, height = _GRID
    cells = [[0.0] * (width // _CELL) for _ in range(height // _CELL)]
    for place, value in enumerate(luma):
        cells[place // width // _CELL][place % width // _CELL] += value
    bits = 0
    for row in cells:
        for left, right in pairwise(row):
            bits = bits << 1 | (left < right)
    return bits.to_bytes(8, "big")
