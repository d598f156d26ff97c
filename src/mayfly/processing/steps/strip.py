"""strip: leave nothing but pixels."""

from dataclasses import dataclass, replace
from typing import ClassVar

from mayfly.processing.picture import Picture
from mayfly.processing.steps.step import Bare


@dataclass(frozen=True, slots=True)
class Strip(Bare):
    """No rendition ever has EXIF, XMP, IPTC, a comment or the original's profile, with or without this step. What it
    takes away is what a `colourspace` before it asked for: the pixels are sRGB again, and there is no profile."""

    verb: ClassVar[str] = "strip"

    def apply(self, picture: Picture) -> Picture:
        return replace(picture, space="srgb", profile=False)
