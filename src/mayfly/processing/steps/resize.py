"""resize: fit the picture into a box."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mayfly.processing.picture import Picture, Size
from mayfly.processing.steps.step import Params

LONGEST_SIDE = 16_383
"""Pixels: the most a side of a WebP may have (RFC 9649, section 2.7)."""

MOST_SLACK = 10
_HALVINGS = (8, 4, 2)


@dataclass(frozen=True, slots=True)
class Resize:
    """`fit`: as large as the box `width` x `height` (pixels) allows with nothing cut off; never enlarged.

    `slack` is how many per cent smaller a JPEG may come out if that makes it a half, a quarter or an eighth of the
    original: its decoder can leave the rest out while it reads. Other types pay no heed to it. Of 4032 pixels, 2016
    cost 137 ms of CPU and 2048 cost 217.
    """

    width: int
    height: int
    mode: str = "fit"
    slack: int = 0

    verb: ClassVar[str] = "resize"

    @classmethod
    def parse(cls, params: Params) -> Self:
        step = cls(
            width=params.integer("width", 1, LONGEST_SIDE),
            height=params.integer("height", 1, LONGEST_SIDE),
            mode=params.choice("mode", ("fit",), "fit"),
            slack=params.integer("slack", 0, MOST_SLACK, 0),
        )
        params.refuse_the_rest()
        return step

    def to_json(self) -> Any:
        return {self.verb: {"width": self.width, "height": self.height, "mode": self.mode, "slack": self.slack}}

    def scaled(self, size: Size) -> Size:
        """The size to which a picture of `size` is scaled. Reckoned from the size it stands for and not from the
        pixels at hand, so that a rendition's size does not depend on which other renditions are made."""
        scale = min(self.width / size[0], self.height / size[1], 1.0)
        for halving in _HALVINGS:
            if scale * (100 - self.slack) / 100 <= 1 / halving <= scale:
                scale = 1 / halving
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def apply(self, picture: Picture) -> Picture:
        return picture.with_image(scale_to(picture.image, self.scaled(picture.size)))


def scale_to(image: Any, size: Size) -> Any:
    """The image at exactly `size`, in memory. Alpha is premultiplied meanwhile, as libvips does by itself."""
    if (image.width, image.height) == size:
        return image
    return image.thumbnail_image(size[0], height=size[1], size="force", no_rotate=True).copy_memory()
