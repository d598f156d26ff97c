"""A picture on its way through a recipe's steps."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mayfly.model.errors import AttemptFailed
from mayfly.processing.limits import Limits

Size = tuple[int, int]
"""Width and height, pixels."""


def swap_if(turned: bool, size: Size) -> Size:
    return (size[1], size[0]) if turned else size


def _no_marks(_: bytes) -> Any:
    raise AttemptFailed("watermark-unreadable")


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels, and what they stand for.

    The pixels may be fewer than the picture has: a recipe that begins by shrinking is handed pixels already shrunk to
    the size it asks for, so that one decode serves all recipes.

    Attributes:
        image: a pyvips image in memory, sRGB, 8 bits, 3 bands or 4 with alpha. Never changed in place: other recipes
            start from the same one. (Not typed as one: this module is imported where libvips is not.)
        size: the size the picture stands for; steps reckon with this one.
        orientation: the EXIF orientation, 1 to 8, that is still to be applied; 1 once upright.
        space: the colour space that the file is to be written in. The pixels here are sRGB until then.
        profile: whether the file is to hold a profile where it needs none.
        most: pixels that a step may make of it.
        open_mark: gives the pixels of a PNG that is to be laid over it; raises AttemptFailed where it cannot be read.
    """

    image: Any
    size: Size
    orientation: int = 1
    space: str = "srgb"
    profile: bool = False
    most: int = Limits().pixels
    open_mark: Callable[[bytes], Any] = _no_marks

    @property
    def turned(self) -> bool:
        """Whether standing upright will swap width and height."""
        return self.orientation >= 5

    def with_image(self, image: Any) -> "Picture":
        """The same picture made of other pixels, all of them there."""
        return replace(self, image=image, size=(image.width, image.height))

    def with_pixels(self, image: Any) -> "Picture":
        """The same picture, its pixels exchanged one for one: they stand for as many as before."""
        return replace(self, image=image)

    def demand(self, size: Size) -> None:
        """Before a step makes the picture larger.

        Raises:
            AttemptFailed: `rendition-too-large`: it would have more pixels than an image may have.
        """
        if size[0] * size[1] > max(self.most, self.image.width * self.image.height):
            raise AttemptFailed("rendition-too-large")
