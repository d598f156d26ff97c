"""orient: stand the picture upright, as its EXIF orientation says."""

from dataclasses import dataclass, replace
from typing import ClassVar

from mayfly.processing.picture import Picture, swap_if
from mayfly.processing.steps.step import Bare

# EXIF 2.32, section 4.6.4, tag 274: what to do to the stored pixels so that they stand upright.
_UPRIGHT = {
    2: ("fliphor",),
    3: ("rot180",),
    4: ("flipver",),
    5: ("rot90", "fliphor"),
    6: ("rot90",),
    7: ("rot270", "fliphor"),
    8: ("rot270",),
}


@dataclass(frozen=True, slots=True)
class Orient(Bare):
    verb: ClassVar[str] = "orient"

    def apply(self, picture: Picture) -> Picture:
        if picture.orientation == 1:
            return picture
        image = picture.image
        for move in _UPRIGHT[picture.orientation]:
            image = getattr(image, move)()
        return replace(picture, image=image.copy_memory(), size=swap_if(picture.turned, picture.size), orientation=1)
