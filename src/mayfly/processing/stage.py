"""A stage: built-in steps that run in the cage in one go. Plain Python, known to the parent and to the worker."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from mayfly.processing.steps import STEPS, Encode, Step, Watermark
from mayfly.processing.steps.step import Attachment, Files, Params

HANDED_OVER = Encode("png", None, effort=0)
"""How a stage ends before a step of the user's own: lossless, and not compressed. It lives in memory for a moment; of a
12 megapixel photo that takes 0.12 s of CPU instead of 1.5, for 35 MiB instead of 24."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps and the encoding they end with. `name` is the rendition's for the last stage of a recipe, and its own for
    those before: no two stages of one worker share a name."""

    name: str
    steps: tuple[Step, ...]
    encode: Encode

    def to_json(self) -> dict[str, Any]:
        """For sending to a worker."""
        return {"name": self.name, "steps": [*(step.to_json() for step in self.steps), self.encode.to_json()]}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any], files: Files) -> Self:
        """The inverse of `to_json`, of what a parent sent: its faults were told when the settings were read."""
        *firsts, last = [_split(entry) for entry in raw["steps"]]
        steps = tuple(STEPS[verb].parse(Params(verb, table, [], files)) for verb, table in firsts)
        return cls(raw["name"], steps, Encode.parse(Params(last[0], last[1], [])))


def attachments(steps: Iterable[Step]) -> list[Attachment]:
    """The files that the steps need."""
    return [step.file for step in steps if isinstance(step, Watermark)]


def by_name(stages: Sequence[Stage]) -> dict[str, Stage]:
    return {stage.name: stage for stage in stages}


def _split(entry: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    [(verb, table)] = entry.items()
    return verb, table
