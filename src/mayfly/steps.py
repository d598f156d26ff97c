"""For a Python function that is a step of a recipe: how it says that an image is at fault.

from mayfly.steps import RejectImage

def step(image: bytes, media_type: str, parameters: dict) -> bytes:
    raise RejectImage
"""


class RejectImage(Exception):
    """The image is at fault: it ends `rejected`, with the reason `step-rejected`, and is not tried again. Any other
    exception means that the attempt failed."""
