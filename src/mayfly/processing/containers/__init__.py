"""How each container is laid out, walked without decoding, in plain Python.

Decoders are lenient: libheif renders a file whose second half is missing, libpng one without its end, and all of them
stop at the first frame. So each file is walked first: to its end, or to the frame past the bound, whichever comes
first. A walk costs time in proportion to the file at most, and takes no length from the file on trust.
"""

from collections.abc import Callable

from mayfly.model.errors import Rejected
from mayfly.model.image import MediaType
from mayfly.processing.containers.bmff import walk_bmff
from mayfly.processing.containers.gif import walk_gif
from mayfly.processing.containers.png import walk_png
from mayfly.processing.containers.reader import Cut, Malformed
from mayfly.processing.containers.tiff import walk_tiff

# JPEG and WebP are not here: libvips, told to fail on errors, was seen to refuse every truncation of theirs.
_WALKS: dict[MediaType, Callable[[memoryview, int], int]] = {
    MediaType.PNG: walk_png,
    MediaType.GIF: walk_gif,
    MediaType.TIFF: walk_tiff,
    MediaType.HEIC: walk_bmff,
    MediaType.AVIF: walk_bmff,
}


def walk(data: memoryview, media_type: MediaType, most_frames: int) -> int:
    """How many frames the file has; 1 for a type that is counted by its decoder.

    Raises:
        Rejected: `truncated`, `corrupt`, or `too-many-frames`.
    """
    if media_type not in _WALKS:
        return 1
    try:
        frames = _WALKS[media_type](data, most_frames)
    except Cut:
        raise Rejected("truncated") from None
    except Malformed:
        raise Rejected("corrupt") from None
    if frames > most_frames:
        raise Rejected("too-many-frames")
    return frames
