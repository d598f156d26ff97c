"""Boxes, places and backgrounds: what the verbs that cut and lay out share. Without libvips: they call methods of the
image they are given."""

import re
from dataclasses import dataclass
from typing import Any, Self

from mayfly.processing.limits import Limits
from mayfly.processing.picture import Size

PLACES: dict[str, tuple[float, float]] = {
    "centre": (0.5, 0.5),
    "north": (0.5, 0.0),
    "north-east": (1.0, 0.0),
    "east": (1.0, 0.5),
    "south-east": (1.0, 1.0),
    "south": (0.5, 1.0),
    "south-west": (0.0, 1.0),
    "west": (0.0, 0.5),
    "north-west": (0.0, 0.0),
}
"""Where something stands in what is larger: the shares of the spare room to its left and above it."""

SOUGHT = ("entropy", "attention")
"""Places that libvips looks for in the picture (`smartcrop`): where most is told, or what catches the eye."""

GRAVITIES = (*PLACES, *SOUGHT)

MOST_PIXELS = Limits().pixels
"""What a step may ask for at most: as much as is taken in by default, and what the default memory of a worker holds."""

_COLOUR = re.compile(r"#(?:[0-9a-f]{2}){3,4}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Colour:
    """sRGB, each value 0 to 255. An `alpha` of 0 is fully transparent."""

    red: int
    green: int
    blue: int
    alpha: int = 255

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """From `#rrggbb` or `#rrggbbaa`; None if it is neither."""
        return cls(*bytes.fromhex(text[1:])) if _COLOUR.fullmatch(text) else None

    def __str__(self) -> str:
        whole = bytes((self.red, self.green, self.blue, self.alpha)).hex()
        return "#" + (whole[:6] if self.opaque else whole)

    @property
    def opaque(self) -> bool:
        return self.alpha == 255

    def ready(self, image: Any) -> tuple[Any, list[int]]:
        """The image, with alpha if this colour needs it, and the colour in as many bands."""
        if not self.opaque and not image.hasalpha():
            image = image.addalpha()
        return image, [self.red, self.green, self.blue, self.alpha][: image.bands]


WHITE = Colour(255, 255, 255)


def spot(place: str, outer: Size, inner: Size, margin: int = 0) -> tuple[int, int]:
    """The left upper corner of `inner` in `outer`, pixels; kept off the sides it is pushed to by `margin`."""
    across, down = PLACES[place]
    return (
        margin + round((outer[0] - inner[0] - 2 * margin) * across),
        margin + round((outer[1] - inner[1] - 2 * margin) * down),
    )


def cut(image: Any, box: Size, gravity: str) -> Any:
    """The part of the image that the box holds: as large as the box, or as the image where that is smaller. Lazy."""
    size = min(box[0], image.width), min(box[1], image.height)
    if size == (image.width, image.height):
        return image
    if gravity in SOUGHT:
        return image.smartcrop(*size, interesting=gravity)
    return image.crop(*spot(gravity, (image.width, image.height), size), *size)


def lay(image: Any, size: Size, corner: tuple[int, int], background: Colour) -> Any:
    """The image on a background of `size`, its left upper corner at `corner`. Lazy."""
    if size == (image.width, image.height):
        return image
    image, colour = background.ready(image)
    return image.embed(*corner, *size, extend="background", background=colour)
