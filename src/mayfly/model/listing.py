"""What can be asked of the list of images, and one page of the answer."""

import base64
import binascii
from dataclasses import dataclass

from mayfly.model.errors import InvalidRequest
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import Ms
from mayfly.model.lifecycle import State

LARGEST_PAGE = 200
_CURSOR_VERSION = b"\x01"


@dataclass(frozen=True, slots=True)
class Filter:
    """Newest first. `received_from` is inclusive, `received_to` exclusive, `after` the last id already seen."""

    state: State | None = None
    source: Source | None = None
    received_from: Ms | None = None
    received_to: Ms | None = None
    after: ImageId | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """`next_after` is what to pass as `after` for the next page; None on the last."""

    records: tuple[ImageRecord, ...]
    next_after: ImageId | None


def encode_cursor(last: ImageId) -> str:
    return base64.urlsafe_b64encode(_CURSOR_VERSION + last.raw).rstrip(b"=").decode()


def decode_cursor(text: str) -> ImageId:
    """The inverse of `encode_cursor`.

    Raises:
        InvalidRequest: no cursor of ours reads like this.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 17 or raw[:1] != _CURSOR_VERSION:
        raise InvalidRequest("the cursor is broken: pass next_cursor of the previous page unchanged, or none")
    return ImageId.from_bytes(raw[1:])
