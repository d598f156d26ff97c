"""Non-personal findings about a picture, cheap ones: all are measured on a copy of at most 512 pixels a side.

A fixed size makes them comparable between pictures, whatever the camera's resolution. A smaller picture is
not enlarged.
"""

from dataclasses import dataclass
from itertools import pairwise

from mayfly.processing.picture import Picture
from mayfly.processing.steps import Resize

MEASURED_AT = Resize(512, 512)
"""Facts are measured on a picture of this size."""

_GRID = (36, 32)  # pixels: four by four of them to each cell of the 9 x 8 that `dhash` compares
_CELL = 4
_LAPLACIAN = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
_MEAN, _DEVIATION = 4, 5  # columns of libvips's `stats`
_OPAQUE_ENOUGH = 128


@dataclass(frozen=True, slots=True)
class Findings:
    """Attributes:
    alpha: whether some pixel is not fully opaque.
    dominant_colour: `#rrggbb`.
    brightness: mean lightness in sRGB, 0 black to 1 white.
    sharpness: variance of the Laplacian of lightness in 0..255; blurred pictures have less. Below about 100 a photo
        looks soft at this size. (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a
        comparative study", ICPR 2000.)
    phash: 8 bytes, personal: see `dhash`.
    """

    alpha: bool
    dominant_colour: str
    brightness: float
    sharpness: float
    phash: bytes


def measure(picture: Picture) -> Findings:
    """From an upright picture of the size `MEASURED_AT` gives. Two passes of libvips: each pass costs more to set up than
    its pixels do."""
    image = picture.image
    flat = image.flatten(background=255) if image.hasalpha() else image
    light = flat.colourspace("b-w")
    stats = light.bandjoin(light.conv(_LAPLACIAN, precision="float")).stats()
    brightness, deviation = stats(_MEAN, 1)[0] / 255, stats(_DEVIATION, 2)[0]
    grid = image.thumbnail_image(_GRID[0], height=_GRID[1], size="force", no_rotate=True)
    pixels, bands = bytes(grid.write_to_memory()), image.bands
    return Findings(
        alpha=bool(image.hasalpha()),
        dominant_colour=dominant_colour(pixels, bands),
        brightness=round(brightness, 3),
        sharpness=round(deviation**2, 1),
        phash=dhash(pixels, bands),
    )


def dominant_colour(pixels: bytes, bands: int) -> str:
    """The mean of the pixels in the fullest of 512 boxes of colour (3 bits a channel), on a grid of 36 x 32. Pixels
    more than half transparent do not count; a picture of nothing else is white."""
    boxes: dict[tuple[int, int, int], list[bytes]] = {}
    for at in range(0, len(pixels), bands):
        pixel = pixels[at : at + bands]
        if bands == 3 or pixel[3] >= _OPAQUE_ENOUGH:
            boxes.setdefault((pixel[0] >> 5, pixel[1] >> 5, pixel[2] >> 5), []).append(pixel)
    if not boxes:
        return "#ffffff"
    fullest = max(boxes.values(), key=len)
    return "#" + "".join(f"{round(sum(pixel[band] for pixel in fullest) / len(fullest)):02x}" for band in range(3))


def dhash(pixels: bytes, bands: int) -> bytes:
    """A difference hash of 64 bits (N. Krawetz, "Kind of Like That", 2013): shrunk to 9 x 8, each bit tells whether a
    cell is darker than its right neighbour; row by row from the top left, the most significant bit first. Near
    pictures differ in few bits. It is personal, for a known picture can be looked up by it: it leaves the worker
    only to be keyed and dropped."""
    width, height = _GRID
    cells = [[0] * (width // _CELL) for _ in range(height // _CELL)]
    for place in range(width * height):
        red, green, blue = pixels[place * bands : place * bands + 3]
        cells[place // width // _CELL][place % width // _CELL] += 299 * red + 587 * green + 114 * blue  # BT.601 luma
    bits = 0
    for row in cells:
        for left, right in pairwise(row):
            bits = bits << 1 | (left < right)
    return bits.to_bytes(8, "big")
