"""A picture on its way through a recipe's steps."""

from dataclasses import dataclass, replace
from typing import Any

Size = tuple[int, int]
"""Width and height, pixels."""


def swap_if(turned: bool, size: Size) -> Size:
    return (size[1], size[0]) if turned else size


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels, and what they stand for.

    The pixels may be fewer than the picture has: a recipe that begins by shrinking is handed pixels already shrunk to
    the size it asks for, so that one decode serves all recipes.

    Attributes:
        image: a pyvips image in memory, sRGB, 8 bits, 3 bands or 4 with alpha. (Not typed as one: this module is
            imported where libvips is not.)
        size: the size the picture stands for; steps reckon with this one.
        orientation: the EXIF orientation, 1 to 8, that is still to be applied; 1 once upright.
    """

    image: Any
    size: Size
    orientation: int = 1

    @property
    def turned(self) -> bool:
        """Whether standing upright will swap width and height."""
        return self.orientation >= 5

    def with_image(self, image: Any) -> "Picture":
        """The same picture made of other pixels, all of them there."""
        return replace(self, image=image, size=(image.width, image.height))
