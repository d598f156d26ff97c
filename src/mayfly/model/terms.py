"""The terms under which a stream's records are taken in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mayfly.model.retention import History

LabelKind = Literal["fact", "personal"]
"""How a label was declared: kept open as a fact, or sealed."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for the records of one stream. `source_name` is part of every id that is made of a record; `history`
    says which retention was in force at a record's birth; `max_bytes` and `max_pixels` bound one image; `labels` are
    those that are declared."""

    source_name: str
    history: History
    max_bytes: int
    max_pixels: int
    labels: Mapping[str, LabelKind]
