"""What one worker may use for one image."""

from dataclasses import asdict, dataclass, replace
from typing import Self

MIB = 1024 * 1024

_HANDED_OVER = 256 * MIB
"""Bytes of output where steps of the user's own are handed whole pictures, uncompressed: 85 megapixels."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a worker. The defaults fit together: any image within `pixels` decodes within the others.

    Attributes:
        memory: bytes of address space (RLIMIT_AS). Measured at 100 megapixels: WebP 1.9 GiB (0.8 resident), AVIF 1.7
            (1.5 resident), 16-bit interlaced PNG with alpha 1.1, GIF 0.6, progressive JPEG 0.4. An ordinary 12
            megapixel photo stays under 0.2. Too little makes libwebp call good files corrupt.
        seconds: wall time for one image. Measured at 100 megapixels: 16-bit interlaced PNG 17 s, AVIF 5 s.
        pixels: width x height of one frame, read from the header before anything is decoded.
        frames: pages or frames; they are counted without decoding, and counting stops past the bound.
        output: bytes of all renditions together. Address space only: untouched pages cost nothing.
    """

    memory: int = 2560 * MIB
    seconds: float = 30.0
    pixels: int = 100_000_000
    frames: int = 1_000
    output: int = 64 * MIB

    def with_whole_pictures(self) -> Self:
        """With more room for the output, as far as the memory allows."""
        return replace(self, output=max(self.output, min(_HANDED_OVER, self.memory // 8)))

    def to_json(self) -> dict[str, int | float]:
        return asdict(self)
