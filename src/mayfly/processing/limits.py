"""What one worker may use for one image."""

from dataclasses import asdict, dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a worker. The defaults fit together: any image within `pixels` decodes within the others.

    Attributes:
        memory: bytes of address space (RLIMIT_AS). The dearest inputs at 100 megapixels are 16-bit interlaced PNG
            with alpha (8 bytes a pixel, held whole) and HEIC (1.5 for its planes and 3 to 6 as RGB); 1.5 GiB holds
            either. An ordinary 12 megapixel photo peaks near 150 MiB.
        seconds: wall time for one image. AVIF is the slowest, near 50 ms a megapixel on one core.
        pixels: width x height of one frame, read from the header before anything is decoded.
        frames: pages or frames; they are counted without decoding, and counting stops past the bound.
        output: bytes of all renditions together. Address space only: untouched pages cost nothing.
    """

    memory: int = 1536 * MIB
    seconds: float = 30.0
    pixels: int = 100_000_000
    frames: int = 1_000
    output: int = 64 * MIB

    def to_json(self) -> dict[str, int | float]:
        return asdict(self)
