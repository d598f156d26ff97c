"""sharpen: make edges crisper, as pictures need after they were shrunk."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mayfly.processing.picture import Picture
from mayfly.processing.steps.step import Params


@dataclass(frozen=True, slots=True)
class Sharpen:
    """An unsharp mask on lightness alone, which adds no colour. `sigma`: how wide an edge is, in pixels of the picture
    as it is at this step. `amount`: how much crisper it becomes. Flat areas are left alone, so that noise is not
    sharpened, and transparency stays as it is. (libvips `sharpen`; `amount` is its `m2`.)"""

    sigma: float = 1.0
    amount: float = 3.0

    verb: ClassVar[str] = "sharpen"

    @classmethod
    def parse(cls, params: Params) -> Self:
        step = cls(params.number("sigma", 0.3, 10, 1.0), params.number("amount", 0, 20, 3.0))
        params.refuse_the_rest()
        return step

    def to_json(self) -> Any:
        return {self.verb: {"sigma": self.sigma, "amount": self.amount}}

    def apply(self, picture: Picture) -> Picture:
        return picture.with_image(picture.image.sharpen(sigma=self.sigma, m2=self.amount).copy_memory())
