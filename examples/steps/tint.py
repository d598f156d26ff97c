"""A Python function: the picture in shades of one colour, and how bright it was as a fact.

libvips comes with Mayfly, so that it can be imported here; anything else that is installed beside Mayfly can be, too.
"""

import pyvips

from mayfly.steps import RejectImage

DARK = [20, 20, 30]


def step(image: bytes, media_type: str, parameters: dict) -> tuple[bytes, dict]:
    """`parameters`: `red`, `green` and `blue` of the brightest shade, 0 to 255."""
    try:
        grey = pyvips.Image.new_from_buffer(image, "").colourspace("b-w").extract_band(0)
    except pyvips.Error:
        raise RejectImage from None
    bright = [parameters.get(name, 255) for name in ("red", "green", "blue")]
    shades = (grey / 255.0) * [light - dark for light, dark in zip(bright, DARK, strict=True)] + DARK
    tinted = shades.cast("uchar").copy(interpretation="srgb")
    return tinted.pngsave_buffer(compression=1), {"brightness_before": round(grey.avg() / 255, 3)}
