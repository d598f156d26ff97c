"""From strangers' bytes to the pixels of one picture, shrunk while they are read.

In this order, each step before the next touches anything: the container is walked, the header is read, what is past the
bounds is refused, and only then are pixels decoded.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pi_heif
import pyvips

from mayfly.model.errors import AttemptFailed, Rejected
from mayfly.model.image import MediaType
from mayfly.processing.colour import conversion, to_srgb, understood, without_idle_alpha
from mayfly.processing.containers import walk
from mayfly.processing.containers.exif import exif_orientation
from mayfly.processing.engine import LOADERS
from mayfly.processing.limits import Limits
from mayfly.processing.picture import Picture, Size

# libjpeg can leave out detail while it decodes, by these factors. Never so much that it would have to be enlarged
# again: by a 60th that costs 125 ms of CPU for 2048 px, and what it saves in decoding 12 megapixels is 50.
_SHRINKS = (8, 4, 2)

# libvips cuts off what a factor does not divide. Never more than this share of a side: of a picture 7 pixels wide,
# shrunk by 4, the right three would not be seen at all.
_MOST_CUT_OFF = 1 / 64

_MARKS_KEPT = 4
_TURN_THEMSELVES = (MediaType.HEIC, MediaType.AVIF)
_OUT_OF_MEMORY = re.compile(
    r"out of memory|insufficient memory|unable to allocate|failed to allocate|memory allocation|memory error",
    re.IGNORECASE,
)
_CUT = re.compile(r"premature end|unexpected end|truncated|bad seek|not enough", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Original:
    """A submitted picture whose header was read and found within the bounds.

    Attributes:
        size: as the decoder gives it, not upright.
        orientation: what is still to be applied to what the decoder gives; EXIF, 1 to 8.
        stored_orientation: what the file's EXIF says. It differs for HEIC and AVIF, whose decoders turn the picture
            by the container's own properties (irot, imir) and for which EXIF is only a remark.
    """

    data: memoryview
    media_type: MediaType
    header: Any
    size: Size
    orientation: int
    stored_orientation: int
    frames: int

    def picture(self, wanted: Size) -> Picture:
        """The first frame at `wanted` (pixels, as stored, never above `size`), in memory.

        Raises:
            Rejected: its pixels cannot be decoded.
            MemoryError: they do not fit into this process's memory.
        """
        try:
            image, _owner = self._load(wanted)
            shrunk = image.thumbnail_image(
                wanted[0], height=wanted[1], size="force", no_rotate=True, **conversion(image)
            )
            pixels = without_idle_alpha(to_srgb(shrunk).copy_memory())
            return Picture(pixels, self.size, self.orientation, open_mark=open_mark)
        except pyvips.Error as error:
            raise _fault(str(error)) from None

    def _load(self, wanted: Size) -> tuple[Any, Any]:
        """A lazy image, and what owns the memory it reads from: to be kept until the pixels were copied."""
        if self.media_type is MediaType.HEIC:
            return _heic(self.data, self.header)
        if self.media_type is MediaType.JPEG:
            for factor in _SHRINKS:
                if all(_serves(side, factor, least) for side, least in zip(self.size, wanted, strict=True)):
                    return _at_least(_open(self.data, self.media_type, shrink=factor), wanted), self.data
        return self.header, self.data


def read_header(data: memoryview, media_type: MediaType, limits: Limits) -> Original:
    """Raises:
    Rejected: `truncated`, `corrupt`, `unsupported`, `too-many-pixels` or `too-many-frames`.
    """
    counted = walk(data, media_type, limits.frames)
    try:
        header = _open(data, media_type)
    except pyvips.Error as error:
        raise _fault(str(error)) from None
    if header.width * header.height > limits.pixels:
        raise Rejected("too-many-pixels")
    frames = max(counted, _integer(header, "n-pages", 1))
    if frames > limits.frames:
        raise Rejected("too-many-frames")
    if not understood(header):
        raise Rejected("unsupported")
    orientation, stored = _orientations(header, media_type)
    return Original(data, media_type, header, (header.width, header.height), orientation, stored, frames)


@lru_cache(_MARKS_KEPT)
def open_mark(data: bytes) -> Any:
    """The pixels of a watermark's PNG, each decoded once.

    Raises:
        AttemptFailed: it cannot be read: no fault of the image's.
    """
    try:
        header = read_header(memoryview(data), MediaType.PNG, Limits(frames=1))
        return header.picture(header.size).image
    except Rejected:
        raise AttemptFailed("watermark-unreadable") from None


def _orientations(header: Any, media_type: MediaType) -> tuple[int, int]:
    """What is to be applied, and what is stored."""
    if media_type in _TURN_THEMSELVES:
        return 1, exif_orientation(header.get("exif-data")) if header.get_typeof("exif-data") else 1
    orientation = _integer(header, "orientation", 1)
    if not 1 <= orientation <= 8:
        orientation = 1
    return orientation, orientation


def _open(data: memoryview, media_type: MediaType, **options: Any) -> Any:
    loader, _ = LOADERS[media_type]
    source = pyvips.Source.new_from_memory(data)
    return getattr(pyvips.Image, loader)(source, access="sequential", fail_on="error", **options)


def _serves(side: int, factor: int, least: int) -> bool:
    """Whether a side (pixels), decoded at a `factor` less, still holds `least` pixels and what they are to show."""
    return side // factor >= max(1, least - 1) and side % factor <= side * _MOST_CUT_OFF


def _at_least(image: Any, size: Size) -> Any:
    """With its last row or column repeated where that is missing: libvips cuts off what a factor does not divide, so
    that half of an odd side is one pixel short of what was reckoned."""
    if image.width >= size[0] and image.height >= size[1]:
        return image
    return image.embed(0, 0, max(image.width, size[0]), max(image.height, size[1]), extend="copy")


def _heic(data: memoryview, header: Any) -> tuple[Any, Any]:
    """HEVC is not in the libvips wheel, so its pixels come from pi-heif: upright (irot and imir applied, as they are in
    libvips's header), 8 bits. They belong to the file object, which is returned too: its memoryview does not keep it.
    """
    try:
        heif = pi_heif.open_heif(data, convert_hdr_to_8bit=True)
        pixels = heif.data
    except MemoryError:
        raise
    except Exception as error:
        raise _fault(str(error)) from None
    if heif.size != (header.width, header.height):
        raise Rejected("corrupt")  # two readers of one file disagree about it
    bands = len(heif.mode)
    image = pyvips.Image.new_from_memory(pixels, *heif.size, bands, "uchar")
    image = image.copy(interpretation="srgb" if bands >= 3 else "b-w")
    if heif.premultiplied_alpha:
        image = image.unpremultiply().cast("uchar")
    if header.get_typeof("icc-profile-data"):
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", header.get("icc-profile-data"))
    return image, heif


def _integer(image: Any, field: str, default: int) -> int:
    return int(image.get(field)) if image.get_typeof(field) else default


def says_out_of_memory(message: str) -> bool:
    """Whether an error of libvips means that memory ran out."""
    return _OUT_OF_MEMORY.search(message) is not None


def _fault(message: str) -> Exception:
    if says_out_of_memory(message):
        return MemoryError()
    return Rejected("truncated" if _CUT.search(message) else "corrupt")
