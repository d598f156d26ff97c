"""What a step gives back, looked at before anybody believes it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never, Protocol

from mayfly.model.errors import AttemptFailed, Rejected
from mayfly.model.formats import HEAD_BYTES, dimensions, sniff


class Bounds(Protocol):
    """What an answer may be at most; `Limits` is one."""

    @property
    def output(self) -> int:
        """Bytes."""

    @property
    def pixels(self) -> int:
        """Width x height."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A step's answer as it came. `facts` is to be JSON, if it is anything."""

    data: bytes | bytearray
    facts: str | bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The picture a step made: `media_type` is told from its first bytes, whatever the step may have said. It is not
    decoded yet, and may turn out truncated or corrupt then: `at_fault` says so. `facts` is any JSON object."""

    data: memoryview
    media_type: str
    facts: Mapping[str, Any] | None = None


def believed(raw: Raw, bounds: Bounds, largest_facts: int) -> Answer:
    """Raises:
    AttemptFailed: `step-output-too-large`, `step-output-unknown`, `step-output-too-many-pixels`,
        `step-facts-invalid`.
    """
    if len(raw.data) > bounds.output:
        raise AttemptFailed("step-output-too-large")
    head = bytes(raw.data[:HEAD_BYTES])
    media_type = sniff(head)
    if media_type is None:
        raise AttemptFailed("step-output-unknown")
    width, height = dimensions(media_type, head) or (0, 0)
    if width * height > bounds.pixels:
        raise AttemptFailed("step-output-too-many-pixels")
    facts = None if raw.facts is None else _facts(raw.facts, largest_facts)
    return Answer(memoryview(raw.data).toreadonly(), str(media_type), facts)


def at_fault(rejected: Rejected) -> AttemptFailed:
    """For whoever decodes an answer: what would reject an upload means here that the step failed, not the image."""
    return AttemptFailed(f"step-output-{rejected}")


def _facts(raw: str | bytes, largest: int) -> Mapping[str, Any]:
    try:
        found = json.loads(raw, parse_constant=_refuse) if len(raw) <= largest else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise AttemptFailed("step-facts-invalid")
    return found


def _refuse(constant: str) -> Never:
    raise ValueError(constant)  # NaN and the infinities are no JSON
