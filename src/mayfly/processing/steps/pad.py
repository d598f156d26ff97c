"""pad: put a border around the picture."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mayfly.processing.canvas import MOST_PIXELS, PLACES, WHITE, Colour, lay, spot
from mayfly.processing.picture import Picture
from mayfly.processing.steps.resize import LONGEST_SIDE
from mayfly.processing.steps.step import Params

_SIDES = ("top", "right", "bottom", "left")


@dataclass(frozen=True, slots=True)
class Pad:
    """Up to the box `width` x `height` (pixels), in which the picture stands at `gravity`: a side that is longer
    already stays. Or by the pixels of `top`, `right`, `bottom` and `left`. Around it is `background`."""

    box: tuple[int, int] | None = None
    gravity: str = "centre"
    margins: tuple[int, int, int, int] = (0, 0, 0, 0)
    background: Colour = WHITE

    verb: ClassVar[str] = "pad"

    @classmethod
    def parse(cls, params: Params) -> Self:
        background = params.colour("background", WHITE)
        if any(params.has(side) for side in _SIDES):
            top, right, bottom, left = (params.integer(side, 0, LONGEST_SIDE, 0) for side in _SIDES)
            step = cls(margins=(top, right, bottom, left), background=background)
        else:
            box = params.integer("width", 1, LONGEST_SIDE), params.integer("height", 1, LONGEST_SIDE)
            step = cls(box, params.choice("gravity", tuple(PLACES), "centre"), background=background)
            if box[0] * box[1] > MOST_PIXELS:
                params.fault("height", f"width x height may be at most {MOST_PIXELS} pixels; got {box[0] * box[1]}")
        params.refuse_the_rest()
        return step

    def to_json(self) -> Any:
        table: dict[str, Any] = {"background": str(self.background)}
        if self.box is None:
            return {self.verb: table | dict(zip(_SIDES, self.margins, strict=True))}
        return {self.verb: table | {"width": self.box[0], "height": self.box[1], "gravity": self.gravity}}

    def apply(self, picture: Picture) -> Picture:
        image = picture.image
        inner = image.width, image.height
        top, right, bottom, left = self.margins
        if self.box is None:
            size, corner = (left + inner[0] + right, top + inner[1] + bottom), (left, top)
        else:
            size = max(self.box[0], inner[0]), max(self.box[1], inner[1])
            corner = spot(self.gravity, size, inner)
        picture.demand(size)
        return picture.with_image(lay(image, size, corner, self.background).copy_memory())
