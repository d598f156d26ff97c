"""A picture's size."""

Size = tuple[int, int]
"""Width and height, in pixels."""
