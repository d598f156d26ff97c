"""What a journal was told, as the figures take it."""

from collections.abc import Callable, Mapping
from typing import SupportsFloat, cast

Fields = Mapping[str, object]
Handler = Callable[[Fields], None]

PAUSES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Buckets in seconds, for what somebody waits for."""

OTHER = "other"


def number(fields: Fields, name: str) -> float:
    """0 where it was not told."""
    return float(cast("SupportsFloat", fields.get(name) or 0))


def one_of(known: frozenset[str], value: object) -> str:
    """A label's value: one of those known, or `other`, so that no label has values without end."""
    text = str(value)
    return text if text in known else OTHER
