"""crop: keep a part of the picture."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mayfly.processing.canvas import GRAVITIES, cut
from mayfly.processing.picture import Picture
from mayfly.processing.steps.resize import LONGEST_SIDE
from mayfly.processing.steps.step import Params


@dataclass(frozen=True, slots=True)
class Crop:
    """`width` x `height` pixels of it, or as many as there are. `gravity` says which: those at a place (`centre`,
    `north`, ...), or those that libvips finds: `entropy` where most is told, `attention` what catches the eye (skin,
    saturated colours, edges)."""

    width: int
    height: int
    gravity: str = "centre"

    verb: ClassVar[str] = "crop"

    @classmethod
    def parse(cls, params: Params) -> Self:
        step = cls(
            width=params.integer("width", 1, LONGEST_SIDE),
            height=params.integer("height", 1, LONGEST_SIDE),
            gravity=params.choice("gravity", GRAVITIES, "centre"),
        )
        params.refuse_the_rest()
        return step

    def to_json(self) -> Any:
        return {self.verb: {"width": self.width, "height": self.height, "gravity": self.gravity}}

    def apply(self, picture: Picture) -> Picture:
        return picture.with_image(cut(picture.image, (self.width, self.height), self.gravity).copy_memory())
