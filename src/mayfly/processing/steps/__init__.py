"""The verbs of a recipe, one a file.

A step is parsed where settings are read and applied where images are decoded, so these files import neither libvips
nor libheif: they only call methods of the image they are given. A new verb is one new file, one line here, and its
section with a picture in docs/reference/steps.md.
"""

from mayfly.processing.steps.adjust import Adjust
from mayfly.processing.steps.blur import Blur
from mayfly.processing.steps.colourspace import ColourSpace
from mayfly.processing.steps.crop import Crop
from mayfly.processing.steps.encode import Encode
from mayfly.processing.steps.flip import Flip
from mayfly.processing.steps.greyscale import Greyscale
from mayfly.processing.steps.orient import Orient
from mayfly.processing.steps.pad import Pad
from mayfly.processing.steps.resize import Resize
from mayfly.processing.steps.rotate import Rotate
from mayfly.processing.steps.sharpen import Sharpen
from mayfly.processing.steps.step import Step
from mayfly.processing.steps.strip import Strip
from mayfly.processing.steps.watermark import Watermark

STEPS: dict[str, type[Step]] = {
    step.verb: step
    for step in (
        Orient,
        Resize,
        Crop,
        Rotate,
        Flip,
        Pad,
        Sharpen,
        Blur,
        Greyscale,
        Adjust,
        Watermark,
        ColourSpace,
        Strip,
    )
}
"""What may stand before the last step."""

POINTWISE = (Adjust, ColourSpace, Flip, Greyscale, Strip)
"""What does the same to a picture whether it comes before shrinking or after, and so never needs the pixels that
shrinking leaves out."""

__all__ = ["POINTWISE", "STEPS", "ColourSpace", "Encode", "Orient", "Resize", "Step", "Watermark"]
