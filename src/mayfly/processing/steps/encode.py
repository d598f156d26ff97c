"""encode: write the picture as a file. Always the last step."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mayfly.processing.picture import Picture
from mayfly.processing.steps.step import Params

MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "avif": "image/avif"}
_WITH_ALPHA = ("webp", "png", "avif")
_QUALITY = 80

# WebP effort 4 costs 310 ms of CPU at 2048 px against 80 ms at effort 0, for a sixth fewer bytes. At 256 px, over 16
# camera photos, effort 2 takes half of effort 4's CPU for 2.4 % more bytes. AVIF effort 0 is 200 ms at 2048 px.
_SMALL_AREA = 512 * 512
_WEBP_EFFORT_SMALL = 2
_WEBP_EFFORT_LARGE = 0
_AVIF_EFFORT = 0


@dataclass(frozen=True, slots=True)
class Encode:
    """`format`: jpeg, png, webp or avif. `quality`: 1 to 100 (PNG is lossless and takes none). `alpha_format`: for
    JPEG, which has no transparency, the format used instead where the picture has some."""

    format: str
    quality: int | None = _QUALITY
    alpha_format: str | None = None

    verb: ClassVar[str] = "encode"

    @classmethod
    def parse(cls, params: Params) -> Self:
        name = params.choice("format", tuple(MEDIA_TYPES))
        quality = None if name == "png" else params.integer("quality", 1, 100, _QUALITY)
        alpha_format = params.choice("alpha_format", _WITH_ALPHA, "webp") if name == "jpeg" else None
        params.refuse_the_rest()
        return cls(name, quality, alpha_format)

    def to_json(self) -> Any:
        table = {"format": self.format, "quality": self.quality, "alpha_format": self.alpha_format}
        return {self.verb: {key: value for key, value in table.items() if value is not None}}

    def media_types(self) -> frozenset[str]:
        """Every type this step can give."""
        return frozenset(MEDIA_TYPES[name] for name in (self.format, self.alpha_format) if name)

    def write(self, picture: Picture) -> tuple[str, bytes]:
        """In the worker: the media type and the file. Nothing but pixels is kept: no EXIF, XMP, IPTC or profile
        (the pixels are sRGB, which is what a file without a profile means)."""
        image = picture.image
        name = self.alpha_format if self.alpha_format and image.hasalpha() else self.format
        return MEDIA_TYPES[name], _WRITERS[name](image, self.quality or _QUALITY)


def _jpeg(image: Any, quality: int) -> bytes:
    data: bytes = image.jpegsave_buffer(Q=quality, keep="none")
    return data


def _png(image: Any, _quality: int) -> bytes:
    data: bytes = image.pngsave_buffer(keep="none")
    return data


def _webp(image: Any, quality: int) -> bytes:
    effort = _WEBP_EFFORT_SMALL if image.width * image.height <= _SMALL_AREA else _WEBP_EFFORT_LARGE
    data: bytes = image.webpsave_buffer(Q=quality, effort=effort, keep="none")
    return data


def _avif(image: Any, quality: int) -> bytes:
    data: bytes = image.heifsave_buffer(Q=quality, compression="av1", effort=_AVIF_EFFORT, keep="none")
    return data


_WRITERS = {"jpeg": _jpeg, "png": _png, "webp": _webp, "avif": _avif}
