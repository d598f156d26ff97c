"""encode: write the picture as a file. Always the last step."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mayfly.processing.picture import Picture
from mayfly.processing.steps.colourspace import converted
from mayfly.processing.steps.step import Params

MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "avif": "image/avif"}
_WITH_ALPHA = ("webp", "png", "avif")
_PROGRESSIVE = ("jpeg", "png")
_MOST_EFFORT = {"webp": 6, "avif": 9, "png": 9}
_QUALITY = 80

# WebP effort 4 costs 310 ms of CPU at 2048 px against 80 ms at effort 0, for a sixth fewer bytes. At 256 px, over 16
# camera photos, effort 2 takes half of effort 4's CPU for 2.4 % more bytes. AVIF effort 0 is 200 ms at 2048 px.
_SMALL_AREA = 512 * 512
_WEBP_EFFORT_SMALL = 2
_WEBP_EFFORT_LARGE = 0
_AVIF_EFFORT = 0
_PNG_EFFORT = 6


@dataclass(frozen=True, slots=True)
class Encode:
    """`format`: jpeg, png, webp or avif. `quality`: 1 to 100 (what is lossless takes none). `alpha_format`: for
    JPEG, which has no transparency, the format used instead where the picture has some. `effort`: CPU spent on fewer
    bytes; None is what this project found to pay. `progressive`: JPEG and PNG that show coarsely first. `lossless`:
    WebP."""

    format: str
    quality: int | None = _QUALITY
    alpha_format: str | None = None
    effort: int | None = None
    progressive: bool = False
    lossless: bool = False

    verb: ClassVar[str] = "encode"

    @classmethod
    def parse(cls, params: Params) -> Self:
        name = params.choice("format", tuple(MEDIA_TYPES))
        lossless = name == "webp" and params.boolean("lossless", False)
        step = cls(
            name,
            quality=None if name == "png" or lossless else params.integer("quality", 1, 100, _QUALITY),
            alpha_format=params.choice("alpha_format", _WITH_ALPHA, "webp") if name == "jpeg" else None,
            effort=params.integer("effort", 0, _MOST_EFFORT[name])
            if name in _MOST_EFFORT and params.has("effort")
            else None,
            progressive=name in _PROGRESSIVE and params.boolean("progressive", False),
            lossless=lossless,
        )
        params.refuse_the_rest()
        return step

    def to_json(self) -> Any:
        """What was added later stands here only where it is set: older recipes keep their hash."""
        table = {
            "format": self.format,
            "quality": self.quality,
            "alpha_format": self.alpha_format,
            "effort": self.effort,
            "progressive": self.progressive or None,
            "lossless": self.lossless or None,
        }
        return {self.verb: {key: value for key, value in table.items() if value is not None}}

    def media_types(self) -> frozenset[str]:
        """Every type this step can give."""
        return frozenset(MEDIA_TYPES[name] for name in (self.format, self.alpha_format) if name)

    def write(self, picture: Picture) -> tuple[str, bytes]:
        """In the worker: the media type and the file. Nothing but pixels is kept: no EXIF, XMP or IPTC, and a profile
        only where a step asked for it (the pixels are sRGB otherwise, which is what a file without a profile means).
        """
        image = converted(picture)
        name = self.alpha_format if self.alpha_format and image.hasalpha() else self.format
        options: dict[str, Any] = {"keep": "icc" if image.get_typeof("icc-profile-data") else "none"}
        if picture.profile:
            options = {"keep": "icc", "profile": "srgb"}
        # The settings of another format are not this one's.
        own = self if name == self.format else Encode(name, self.quality)
        data: bytes = _WRITERS[name](image, own, options)
        return MEDIA_TYPES[name], data


def _jpeg(image: Any, step: Encode, options: dict[str, Any]) -> Any:
    return image.jpegsave_buffer(Q=step.quality, interlace=step.progressive, **options)


def _png(image: Any, step: Encode, options: dict[str, Any]) -> Any:
    effort = _PNG_EFFORT if step.effort is None else step.effort
    return image.pngsave_buffer(compression=effort, interlace=step.progressive, **options)


def _webp(image: Any, step: Encode, options: dict[str, Any]) -> Any:
    usual = _WEBP_EFFORT_SMALL if image.width * image.height <= _SMALL_AREA else _WEBP_EFFORT_LARGE
    effort = usual if step.effort is None else step.effort
    if step.lossless:
        return image.webpsave_buffer(lossless=True, effort=effort, **options)
    return image.webpsave_buffer(Q=step.quality, effort=effort, **options)


def _avif(image: Any, step: Encode, options: dict[str, Any]) -> Any:
    effort = _AVIF_EFFORT if step.effort is None else step.effort
    return image.heifsave_buffer(Q=step.quality, compression="av1", effort=effort, **options)


_WRITERS = {"jpeg": _jpeg, "png": _png, "webp": _webp, "avif": _avif}
