"""rotate: turn the picture by an angle."""

from dataclasses import dataclass
from math import ceil, cos, radians, sin
from typing import Any, ClassVar, Self

from mayfly.processing.canvas import WHITE, Colour
from mayfly.processing.picture import Picture, Size
from mayfly.processing.steps.step import Params

_QUARTERS = {90: "rot90", 180: "rot180", 270: "rot270"}


@dataclass(frozen=True, slots=True)
class Rotate:
    """`angle`: degrees clockwise. A multiple of 90 moves pixels and changes none; any other interpolates them, and the
    picture grows to hold its corners: what is around it is `background`."""

    angle: float
    background: Colour = WHITE

    verb: ClassVar[str] = "rotate"

    @classmethod
    def parse(cls, params: Params) -> Self:
        step = cls(params.number("angle", -360, 360), params.colour("background", WHITE))
        params.refuse_the_rest()
        return step

    def to_json(self) -> Any:
        return {self.verb: {"angle": self.angle, "background": str(self.background)}}

    def apply(self, picture: Picture) -> Picture:
        angle = self.angle % 360
        if angle == 0:
            return picture
        if angle in _QUARTERS:
            return picture.with_image(getattr(picture.image, _QUARTERS[int(angle)])().copy_memory())
        picture.demand(_around((picture.image.width, picture.image.height), angle))
        image, colour = self.background.ready(picture.image)
        return picture.with_image(image.rotate(angle, background=colour).copy_memory())


def _around(size: Size, angle: float) -> Size:
    """The box that holds a picture of `size`, turned."""
    along, aside = abs(cos(radians(angle))), abs(sin(radians(angle)))
    return ceil(size[0] * along + size[1] * aside), ceil(size[0] * aside + size[1] * along)
