"""adjust: brightness, contrast and saturation."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mayfly.processing.picture import Picture
from mayfly.processing.steps.step import Params

_MOST = 10.0
_MIDDLE = 127.5

# The luminance of sRGB's primaries as `saturate()` takes them: Filter Effects Module Level 1 (W3C), section 9.2.
_LUMINANCE = (0.213, 0.715, 0.072)


@dataclass(frozen=True, slots=True)
class Adjust:
    """Factors; 1 changes nothing. What they mean is what CSS filters of these names mean: `brightness` multiplies,
    `contrast` spreads around middle grey (0: all grey), `saturation` spreads around the colour's luminance (0: no
    colour). In this order, in one pass; only what comes out is cut to what sRGB can show."""

    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0

    verb: ClassVar[str] = "adjust"

    @classmethod
    def parse(cls, params: Params) -> Self:
        names = ("brightness", "contrast", "saturation")
        if not any(params.has(name) for name in names):
            params.fault("brightness", "is missing; give it, or `contrast`, or `saturation`")
        step = cls(*(params.number(name, 0, _MOST, 1.0) for name in names))
        params.refuse_the_rest()
        return step

    def to_json(self) -> Any:
        return {self.verb: {"brightness": self.brightness, "contrast": self.contrast, "saturation": self.saturation}}

    def apply(self, picture: Picture) -> Picture:
        image = picture.image
        colour = image.extract_band(0, n=3) if image.hasalpha() else image
        factor = self.brightness * self.contrast
        # Saturation leaves greys alone, so what contrast adds to all bands may be added after it.
        mixed = colour.recomb([[factor * share for share in row] for row in _saturation(self.saturation)])
        mixed = (mixed + (_MIDDLE * (1 - self.contrast) + 0.5)).cast("uchar").copy(interpretation="srgb")
        if image.hasalpha():
            mixed = mixed.bandjoin(image[3])
        return picture.with_pixels(mixed.copy_memory())


def _saturation(amount: float) -> list[list[float]]:
    """The matrix of `saturate(amount)`."""
    return [
        [share * (1 - amount) + (amount if row == column else 0) for column, share in enumerate(_LUMINANCE)]
        for row in range(3)
    ]
