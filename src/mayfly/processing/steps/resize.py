"""resize: bring the picture to the size of a box."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mayfly.processing.canvas import GRAVITIES, MOST_PIXELS, PLACES, WHITE, Colour, cut, lay, spot
from mayfly.processing.picture import Picture, Size
from mayfly.processing.steps.step import Params

LONGEST_SIDE = 16_383
"""Pixels: the most a side of a WebP may have (RFC 9649, section 2.7)."""

MODES = ("fit", "fill", "cover", "exact")
MOST_SLACK = 10
_HALVINGS = (8, 4, 2)


@dataclass(frozen=True, slots=True)
class Resize:
    """Into the box `width` x `height` (pixels).

    `fit`: as large as the box allows with nothing cut off. `fill`: the same, and the rest of the box is `background`.
    `cover`: as small as covers the box, and what overhangs is cut off. `exact`: stretched to the box. `gravity` is
    where the picture stands in the box (`fill`), or what of it stays (`cover`). Nothing is enlarged unless `enlarge`
    is set; only `exact` always gives what the box says.

    `slack` (`fit`) is how many per cent smaller a JPEG may come out if that makes it a half, a quarter or an eighth of
    the original: its decoder can leave the rest out while it reads. Other types pay no heed to it. Of 4032 pixels, 2016
    cost 137 ms of CPU and 2048 cost 217.
    """

    width: int
    height: int
    mode: str = "fit"
    slack: int = 0
    enlarge: bool = False
    gravity: str = "centre"
    background: Colour = WHITE

    verb: ClassVar[str] = "resize"

    @classmethod
    def parse(cls, params: Params) -> Self:
        width = params.integer("width", 1, LONGEST_SIDE)
        height = params.integer("height", 1, LONGEST_SIDE)
        mode = params.choice("mode", MODES, "fit")
        step = cls(
            width,
            height,
            mode,
            slack=params.integer("slack", 0, MOST_SLACK, 0) if mode == "fit" else 0,
            enlarge=params.boolean("enlarge", False) if mode != "exact" else False,
            gravity=_gravity(params, mode),
            background=params.colour("background", WHITE) if mode == "fill" else WHITE,
        )
        if width * height > MOST_PIXELS and (mode in ("fill", "exact") or step.enlarge):
            params.fault("height", f"width x height may be at most {MOST_PIXELS} pixels; got {width * height}")
        params.refuse_the_rest()
        return step

    def to_json(self) -> Any:
        table: dict[str, Any] = {"width": self.width, "height": self.height, "mode": self.mode}
        if self.mode == "fit":
            table["slack"] = self.slack
        if self.mode in ("fill", "cover"):
            table["gravity"] = self.gravity
        if self.mode == "fill":
            table["background"] = str(self.background)
        if self.enlarge:
            # Not written out where it is not set: recipes made before there was such a thing keep their hash.
            table["enlarge"] = True
        return {self.verb: table}

    def reach(self, size: Size) -> Size:
        """How many pixels of a picture of `size` this step can make use of: `size` scaled evenly, so that what one
        rendition leaves serves every smaller one, whatever their boxes' shapes."""
        return _times(size, min(1.0, self._scale(size)))

    def apply(self, picture: Picture) -> Picture:
        image, size, box = picture.image, picture.size, (self.width, self.height)
        if self.mode == "exact":
            picture.demand(box)
            return picture.with_image(scale_to(image, box))
        # Reckoned from the size it stands for and not from the pixels at hand, so that a rendition's size does not
        # depend on which other renditions are made.
        scale = self._scale(size)
        if self.mode == "cover":
            return picture.with_image(self._covering(picture, scale))
        scaled = _times(size, scale)
        picture.demand(box if self.mode == "fill" else scaled)
        image = scale_to(image, scaled)
        if self.mode == "fill":
            image = lay(image, box, spot(self.gravity, box, scaled), self.background).copy_memory()
        return picture.with_image(image)

    def _covering(self, picture: Picture, scale: float) -> Any:
        box = self.width, self.height
        if scale > 1:
            picture.demand(box)
            # Cut before it is enlarged: of a picture that is long and thin, most would be enlarged to be cut off.
            part = _times(box, 1 / scale)
            return scale_to(cut(picture.image, part, self.gravity), box)
        return cut(scale_to(picture.image, _times(picture.size, scale)), box, self.gravity).copy_memory()

    def _scale(self, size: Size) -> float:
        across, down = self.width / size[0], self.height / size[1]
        scale = max(across, down) if self.mode in ("cover", "exact") else min(across, down)
        if scale >= 1:
            return scale if self.enlarge else 1.0
        for halving in _HALVINGS:
            if scale * (100 - self.slack) / 100 <= 1 / halving <= scale:
                scale = 1 / halving
        return scale


def scale_to(image: Any, size: Size) -> Any:
    """The image at exactly `size`, in memory. Alpha is premultiplied meanwhile, as libvips does by itself."""
    if (image.width, image.height) == size:
        return image
    return image.thumbnail_image(size[0], height=size[1], size="force", no_rotate=True).copy_memory()


def _gravity(params: Params, mode: str) -> str:
    if mode == "cover":
        return params.choice("gravity", GRAVITIES, "centre")
    return params.choice("gravity", tuple(PLACES), "centre") if mode == "fill" else "centre"


def _times(size: Size, scale: float) -> Size:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
