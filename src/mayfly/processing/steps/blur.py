"""blur: soften the picture."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mayfly.processing.picture import Picture
from mayfly.processing.steps.step import Params

_LEAST, _MOST = 0.3, 50
"""Pixels. Below, nothing is seen of it; above, its time grows with it: 12 megapixels at 50 take seconds."""


@dataclass(frozen=True, slots=True)
class Blur:
    """Gaussian; `sigma` in pixels of the picture as it is at this step."""

    sigma: float

    verb: ClassVar[str] = "blur"

    @classmethod
    def parse(cls, params: Params) -> Self:
        step = cls(params.number("sigma", _LEAST, _MOST))
        params.refuse_the_rest()
        return step

    def to_json(self) -> Any:
        return {self.verb: {"sigma": self.sigma}}

    def apply(self, picture: Picture) -> Picture:
        image = picture.image
        if not image.hasalpha():
            return picture.with_image(image.gaussblur(self.sigma).copy_memory())
        # Premultiplied meanwhile: the colour of what is transparent is not to bleed into what is not.
        soft = image.premultiply().gaussblur(self.sigma, precision="float").unpremultiply()
        return picture.with_image((soft + 0.5).cast("uchar").copy(interpretation="srgb").copy_memory())
