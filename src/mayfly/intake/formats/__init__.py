"""What the first bytes of an image tell, one format a file.

Each module has `sniff(head) -> MediaType | None` and `dimensions(head) -> Size | None`. Both are pure, never raise on
any bytes, and do work bounded by the length of `head`. None means that these bytes do not tell.
"""

Size = tuple[int, int]
"""Width and height, in pixels."""
