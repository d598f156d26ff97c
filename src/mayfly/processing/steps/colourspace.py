"""colourspace: which colours the numbers in the file stand for."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from mayfly.processing.picture import Picture
from mayfly.processing.steps.step import Params

SPACES = ("srgb", "display-p3", "grey", "cmyk")


@dataclass(frozen=True, slots=True)
class ColourSpace:
    """`space`: `srgb`, `display-p3`, `grey` (one band) or `cmyk` (JPEG only). Display P3 and CMYK files hold their
    profile; an sRGB one does if `profile` is set. Every step works in sRGB wherever this one stands: the conversion is
    made as the file is written."""

    space: str
    profile: bool = False

    verb: ClassVar[str] = "colourspace"

    @classmethod
    def parse(cls, params: Params) -> Self:
        space = params.choice("space", SPACES)
        step = cls(space, params.boolean("profile", False) if space == "srgb" else False)
        params.refuse_the_rest()
        return step

    def to_json(self) -> Any:
        table: dict[str, Any] = {"space": self.space}
        return {self.verb: table | ({"profile": self.profile} if self.space == "srgb" else {})}

    def apply(self, picture: Picture) -> Picture:
        return replace(picture, space=self.space, profile=self.profile)


def converted(picture: Picture) -> Any:
    """The picture's image in the space that its file is to be written in, lazy, with a profile if it needs one.
    Transparency is laid on white where the space has none (CMYK)."""
    image = picture.image
    match picture.space:
        case "display-p3":
            return image.icc_transform("p3", input_profile="srgb")
        case "grey":
            return image.colourspace("b-w")
        case "cmyk":
            opaque = image.flatten(background=255) if image.hasalpha() else image
            return opaque.icc_transform("cmyk", input_profile="srgb")
        case _:
            return image
