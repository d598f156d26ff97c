"""The verbs of a recipe, one a file.

A step is parsed where settings are read and applied where images are decoded, so these files import neither libvips
nor libheif: they only call methods of the image they are given. A new verb is one new file and one line here.
"""

from mayfly.processing.steps.encode import Encode
from mayfly.processing.steps.orient import Orient
from mayfly.processing.steps.resize import Resize
from mayfly.processing.steps.step import Step

STEPS: dict[str, type[Step]] = {step.verb: step for step in (Orient, Resize)}
"""What may stand before the last step."""

__all__ = ["STEPS", "Encode", "Orient", "Resize", "Step"]
