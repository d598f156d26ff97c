"""flip: mirror the picture."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mayfly.processing.picture import Picture
from mayfly.processing.steps.step import Params

_MOVES = {"horizontal": "fliphor", "vertical": "flipver"}


@dataclass(frozen=True, slots=True)
class Flip:
    """`horizontal`: left becomes right. `vertical`: top becomes bottom."""

    direction: str

    verb: ClassVar[str] = "flip"

    @classmethod
    def parse(cls, params: Params) -> Self:
        step = cls(params.choice("direction", tuple(_MOVES)))
        params.refuse_the_rest()
        return step

    def to_json(self) -> Any:
        return {self.verb: {"direction": self.direction}}

    def apply(self, picture: Picture) -> Picture:
        return picture.with_pixels(getattr(picture.image, _MOVES[self.direction])().copy_memory())
