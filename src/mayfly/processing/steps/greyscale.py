"""greyscale: take the colour away."""

from dataclasses import dataclass
from typing import ClassVar

from mayfly.processing.picture import Picture
from mayfly.processing.steps.step import Bare


@dataclass(frozen=True, slots=True)
class Greyscale(Bare):
    """Every colour becomes the grey of its luminance. The file still has three bands of colour: the step
    `colourspace` makes it one of grey alone."""

    verb: ClassVar[str] = "greyscale"

    def apply(self, picture: Picture) -> Picture:
        return picture.with_pixels(picture.image.colourspace("b-w").colourspace("srgb").copy_memory())
