"""What can be asked of the list of images, one page of the answer, and the cursors of lists."""

import base64
import binascii
from dataclasses import dataclass

from mayfly.model.errors import InvalidRequest
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import Ms
from mayfly.model.lifecycle import State

LARGEST_PAGE = 200

_OF_IMAGES = b"\x01"
_OF_LETTERS = b"\x02"
"""What a cursor begins with: its kind and version."""

_BROKEN = "the cursor is broken: pass next_cursor of the previous page unchanged, or none"


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
    return _encode(_OF_IMAGES + last.raw)


def decode_cursor(text: str) -> ImageId:
    """The inverse of `encode_cursor`.

    Raises:
        InvalidRequest: no cursor of ours reads like this.
    """
    raw = _decode(text, _OF_IMAGES)
    if len(raw) != 16:
        raise InvalidRequest(_BROKEN)
    return ImageId.from_bytes(raw)


def encode_letter_cursor(key: str) -> str:
    return _encode(_OF_LETTERS + key.encode())


def decode_letter_cursor(text: str) -> str:
    """The inverse of `encode_letter_cursor`: a letter's key.

    Raises:
        InvalidRequest: no cursor of ours reads like this.
    """
    try:
        return _decode(text, _OF_LETTERS).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(_BROKEN) from None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str, kind: bytes) -> bytes:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw.startswith(kind):
        raise InvalidRequest(_BROKEN)
    return raw[len(kind) :]
