"""What the first bytes of an image tell, one format a file.

Each module has `sniff(head) -> MediaType | None` and `dimensions(head) -> Size | None`. Both are pure, never raise on
any bytes, and do work bounded by the length of `head`. None means that these bytes do not tell.
"""

from collections.abc import Callable

from mayfly.model.formats import gif, heif, jpeg, png, tiff, webp
from mayfly.model.formats.size import Size
from mayfly.model.image import MediaType

HEAD_BYTES = 64 * 1024
"""How far dimensions are looked for."""

_SNIFFERS = (jpeg.sniff, png.sniff, webp.sniff, gif.sniff, tiff.sniff, heif.sniff)
_DIMENSIONS: dict[MediaType, Callable[[bytes], Size | None]] = {
    MediaType.JPEG: jpeg.dimensions,
    MediaType.PNG: png.dimensions,
    MediaType.WEBP: webp.dimensions,
    MediaType.GIF: gif.dimensions,
    MediaType.TIFF: tiff.dimensions,
    MediaType.HEIC: heif.dimensions,
    MediaType.AVIF: heif.dimensions,
}


def sniff(head: bytes) -> MediaType | None:
    """The media type these bytes begin, or None. Once it answers, more bytes never change the answer."""
    return next((found for sniffer in _SNIFFERS if (found := sniffer(head))), None)


def dimensions(media_type: MediaType, head: bytes) -> Size | None:
    """Width and height in pixels, as the container states them, or None where these bytes do not tell."""
    return _DIMENSIONS[media_type](head)
