"""What a worker says about an image, believed only as far as it can be checked.

A worker may have been taken over by the image it decodes. So its answer must have exactly the shape expected, every
number in it must be within bounds, and the pixels are an opaque run of bytes inside the memory that was given for them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mayfly.processing.limits import Limits
from mayfly.processing.stage import Stage

_REASON = re.compile(r"[a-z][a-z0-9-]{0,47}")
_REJECTIONS = frozenset({"truncated", "corrupt", "unsupported", "too-many-pixels", "too-many-frames"})
_FORMATS = frozenset({"jpeg", "png", "webp", "gif", "tiff", "heic", "avif"})
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_HASH = re.compile(r"[0-9a-f]{16}")
_LONGEST_SIDE = 65_535  # pixels: a JPEG's
_STAGES = ("decode", "resize", "encode", "facts")


class Unbelievable(Exception):
    """No honest worker says this."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture, and where in the output its bytes are."""

    name: str
    media_type: str
    width: int
    height: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Reply:
    """`facts` and `phash` are empty where it was not asked to measure."""

    pictures: tuple[Placed, ...]
    facts: Mapping[str, Any]
    phash: bytes
    timings: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Complaint:
    """The worker made nothing: the image is at fault (`rejected`), or we are."""

    reason: str
    rejected: bool


def read_reply(
    message: Mapping[str, Any], stages: Sequence[Stage], limits: Limits, *, measured: bool
) -> Reply | Complaint:
    """The answer of a worker that was asked for these stages, in their order.

    Raises:
        Unbelievable: anything is not as it must be.
    """
    if message.keys() == {"rejected"}:
        _demand(isinstance(message["rejected"], str) and message["rejected"] in _REJECTIONS)
        return Complaint(message["rejected"], rejected=True)
    if message.keys() == {"failed"}:
        _text(message["failed"], _REASON)
        return Complaint(message["failed"], rejected=False)
    _demand(message.keys() == {"pictures", "timings"} | ({"facts", "phash"} if measured else set()))
    pictures = message["pictures"]
    _demand(isinstance(pictures, list) and len(pictures) == len(stages))
    return Reply(
        tuple(_placed(raw, stage, limits.output) for raw, stage in zip(pictures, stages, strict=True)),
        _facts(message["facts"], limits) if measured else {},
        bytes.fromhex(_text(message["phash"], _HASH)) if measured else b"",
        _timings(message["timings"], limits),
    )


def _placed(raw: Any, stage: Stage, room: int) -> Placed:
    _demand(isinstance(raw, dict) and raw.keys() == {"name", "media_type", "width", "height", "offset", "size"})
    _demand(raw["name"] == stage.name)
    _demand(isinstance(raw["media_type"], str) and raw["media_type"] in stage.encode.media_types())
    width, height = _whole(raw["width"], 1, _LONGEST_SIDE), _whole(raw["height"], 1, _LONGEST_SIDE)
    offset = _whole(raw["offset"], 0, room)
    size = _whole(raw["size"], 1, room - offset)
    return Placed(stage.name, raw["media_type"], width, height, offset, size)


def _facts(raw: Any, limits: Limits) -> dict[str, Any]:
    _demand(isinstance(raw, dict) and len(raw) == 10)
    try:
        _demand(isinstance(raw["format"], str) and raw["format"] in _FORMATS and isinstance(raw["alpha"], bool))
        return {
            "format": raw["format"],
            "kib": _whole(raw["kib"], 1, 1 << 40),
            "width": _whole(raw["width"], 1, limits.pixels),
            "height": _whole(raw["height"], 1, limits.pixels),
            "orientation": _whole(raw["orientation"], 1, 8),
            "frames": _whole(raw["frames"], 1, limits.frames),
            "alpha": raw["alpha"],
            "dominant_colour": _text(raw["dominant_colour"], _COLOUR),
            "brightness": _real(raw["brightness"], 1),
            "sharpness": _real(raw["sharpness"], 1e7),
        }
    except KeyError:
        raise Unbelievable from None


def _timings(raw: Any, limits: Limits) -> dict[str, float]:
    _demand(isinstance(raw, dict) and raw.keys() == set(_STAGES))
    return {stage: round(_real(raw[stage], limits.seconds * 1_000), 1) for stage in _STAGES}


def _whole(value: Any, low: int, high: int) -> int:
    _demand(isinstance(value, int) and not isinstance(value, bool) and low <= value <= high)
    return int(value)


def _real(value: Any, high: float) -> float:
    _demand(isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= high)
    return float(value)


def _text(value: Any, pattern: re.Pattern[str]) -> str:
    _demand(isinstance(value, str) and pattern.fullmatch(value) is not None)
    return str(value)


def _demand(truth: bool) -> None:
    if not truth:
        raise Unbelievable
