"""greyscale: take the colour away."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mayfly.processing.picture import Picture
from mayfly.processing.steps.step import Params


@dataclass(frozen=True, slots=True)
class Greyscale:
    """Every colour becomes the grey of its luminance. The file still has three bands of colour: the step
    `colourspace` makes it one of grey alone."""

    verb: ClassVar[str] = "greyscale"

    @classmethod
    def parse(cls, params: Params) -> Self:
        params.refuse_the_rest()
        return cls()

    def to_json(self) -> Any:
        return self.verb

    def apply(self, picture: Picture) -> Picture:
        return picture.with_pixels(picture.image.colourspace("b-w").colourspace("srgb").copy_memory())
