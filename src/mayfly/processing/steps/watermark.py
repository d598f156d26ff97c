"""watermark: lay another picture over this one."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mayfly.model.errors import Rejected
from mayfly.model.image import MediaType
from mayfly.processing.canvas import PLACES, spot
from mayfly.processing.containers import walk
from mayfly.processing.picture import Picture, Size
from mayfly.processing.steps.resize import scale_to
from mayfly.processing.steps.step import Attachment, Params

MOST_BYTES = 512 * 1024
MOST_MARK_PIXELS = 4_000_000


@dataclass(frozen=True, slots=True)
class Watermark:
    """`file`: a PNG. `scale`: its width, as a share of the picture's; it becomes smaller where it would not fit
    between the margins otherwise. `margin`: how far from the sides it is kept, as a share of the picture's shorter
    side. `opacity`: 1 leaves it as it is, 0 hides it. `position`: where it stands."""

    file: Attachment
    position: str = "south-east"
    scale: float = 0.25
    margin: float = 0.03
    opacity: float = 1.0

    verb: ClassVar[str] = "watermark"

    @classmethod
    def parse(cls, params: Params) -> Self:
        mark = params.file("file", MOST_BYTES)
        if mark.data and (fault := _fault(mark.data)):
            params.fault("file", f"{mark.name} {fault}")
        step = cls(
            mark,
            position=params.choice("position", tuple(PLACES), "south-east"),
            scale=params.number("scale", 0.01, 1, 0.25),
            margin=params.number("margin", 0, 0.45, 0.03),
            opacity=params.number("opacity", 0, 1, 1.0),
        )
        params.refuse_the_rest()
        return step

    def to_json(self) -> Any:
        table = {
            "file": self.file.name,
            "sha256": self.file.sha256,
            "position": self.position,
            "scale": self.scale,
            "margin": self.margin,
            "opacity": self.opacity,
        }
        return {self.verb: table}

    def apply(self, picture: Picture) -> Picture:
        image, mark = picture.image, picture.open_mark(self.file.data)
        outer = image.width, image.height
        margin = round(self.margin * min(outer))
        inner = self._size(outer, (mark.width, mark.height), margin)
        mark = scale_to(mark, inner)
        if not mark.hasalpha():
            mark = mark.addalpha()
        mark = mark.extract_band(0, n=3).bandjoin((mark[3] * self.opacity + 0.5).cast("uchar"))
        left, top = spot(self.position, outer, inner, margin)
        beneath = image.crop(left, top, *inner)
        blended = beneath.composite2(mark.copy(interpretation="srgb"), "over").extract_band(0, n=image.bands)
        return picture.with_image(image.insert(blended, left, top).copy_memory())

    def _size(self, outer: Size, mark: Size, margin: int) -> Size:
        room = outer[0] - 2 * margin, outer[1] - 2 * margin
        scale = min(outer[0] * self.scale / mark[0], room[0] / mark[0], room[1] / mark[1])
        return max(1, round(mark[0] * scale)), max(1, round(mark[1] * scale))


def _fault(data: bytes) -> str | None:
    """What is wrong with a mark, as far as its container tells: the parent does not decode."""
    try:
        walk(memoryview(data), MediaType.PNG, 1)
    except Rejected as error:
        return "must be a PNG of one frame" if str(error) != "truncated" else "is a PNG cut off before its end"
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")  # IHDR comes first
    if width * height > MOST_MARK_PIXELS:
        return f"has {width * height} pixels; at most {MOST_MARK_PIXELS} are taken, make it smaller"
    return None
