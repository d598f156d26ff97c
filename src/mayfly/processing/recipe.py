"""Recipes: how each rendition is made, as the settings say. Plain Python; libvips is not needed to read them."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from mayfly.model.errors import Misconfigured
from mayfly.processing.stage import Stage
from mayfly.processing.steps import STEPS, Encode, Step
from mayfly.processing.steps.step import Params

MOST_RENDITIONS = 16
MOST_STEPS = 32
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_HASH_DIGITS = 16
_Parsed = TypeVar("_Parsed", Step, Encode)


def _fit(side: int, image_format: str, slack: int = 0) -> dict[str, Any]:
    box = {"width": side, "height": side, "mode": "fit", "slack": slack}
    return {"steps": ["orient", {"resize": box}, {"encode": {"format": image_format, "quality": 80}}]}


DEFAULT_RENDITIONS: Mapping[str, Any] = {
    "thumb": _fit(256, "webp"),
    "preview": _fit(1024, "jpeg"),
    "large": _fit(2048, "jpeg", slack=3),
}
"""The table `renditions` when the settings have none. Sides in pixels."""


@dataclass(frozen=True)
class Recipe:
    """One rendition's name, its steps, and the encoding they end with."""

    name: str
    steps: tuple[Step, ...]
    encode: Encode

    def to_json(self) -> dict[str, Any]:
        """The recipe as it may stand in settings, with every default written out."""
        return {"steps": [step.to_json() for step in self.steps] + [self.encode.to_json()]}

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """What of it runs in the cage."""
        return (Stage(self.name, self.steps, self.encode),)

    @cached_property
    def hash(self) -> str:
        """Names what the recipe does: 16 hex digits of the SHA-256 of its steps as JSON, keys sorted. Equal
        steps have equal hashes, whatever the rendition is called and whichever defaults were left out."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:_HASH_DIGITS]


def recipes_to_json(recipes: Iterable[Recipe]) -> dict[str, Any]:
    """The inverse of `parse_recipes`."""
    return {recipe.name: recipe.to_json() for recipe in recipes}


def parse_recipes(raw: Mapping[str, Any]) -> tuple[Recipe, ...]:
    """From the table `renditions` of the settings, in its order.

    Raises:
        Misconfigured: with every fault found, each beginning with its key path.
    """
    faults: list[str] = []
    if len(raw) > MOST_RENDITIONS:
        faults.append(f"renditions: at most {MOST_RENDITIONS} can be made of an image; got {len(raw)}, remove some")
    parsed = [_parse_recipe(f"renditions.{name}", name, table, faults) for name, table in raw.items()]
    if faults:
        raise Misconfigured(*faults)
    return tuple(recipe for recipe in parsed if recipe is not None)


def _parse_recipe(path: str, name: str, table: Any, faults: list[str]) -> Recipe | None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        faults.append(f"{path}: a rendition's name is 1 to 32 of a-z, 0-9, _ and -, beginning with a letter; rename it")
    if (
        not isinstance(table, Mapping)
        or not isinstance(table.get("steps"), Sequence)
        or isinstance(table["steps"], str)
    ):
        faults.append(
            f'{path}.steps: must be a list of steps, for example ["orient", {{encode = {{format = "webp"}}}}]'
        )
        return None
    faults.extend(f"{path}.{key}: is not known here; only `steps` is" for key in table if key != "steps")
    entries = table["steps"]
    if not 1 <= len(entries) <= MOST_STEPS:
        faults.append(f"{path}.steps: must hold 1 to {MOST_STEPS} steps; got {len(entries)}")
        return None
    *firsts, last = entries
    steps = [_parse_step(f"{path}.steps[{place}]", entry, STEPS, faults) for place, entry in enumerate(firsts)]
    encode = _parse_step(f"{path}.steps[{len(firsts)}]", last, {Encode.verb: Encode}, faults)
    if encode is None:
        return None
    return Recipe(name, tuple(step for step in steps if step is not None), encode)


def _parse_step(path: str, entry: Any, verbs: Mapping[str, type[_Parsed]], faults: list[str]) -> _Parsed | None:
    split = _split(entry)
    if split is None:
        faults.append(f'{path}: must be a verb such as "orient", or one verb with its table; got {str(entry)[:60]!r}')
        return None
    verb, table = split
    if verb not in verbs:
        faults.append(f"{path}: {_misplaced(verb, verbs)}")
        return None
    return verbs[verb].parse(Params(f"{path}.{verb}", table, faults))


def _split(entry: Any) -> tuple[str, Mapping[str, Any]] | None:
    """A step is written `"verb"` or `{verb = {...}}`."""
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, Mapping) and len(entry) == 1:
        verb, table = next(iter(entry.items()))
        if isinstance(verb, str) and isinstance(table, Mapping):
            return verb, table
    return None


def _misplaced(verb: str, verbs: Mapping[str, Any]) -> str:
    if Encode.verb in verbs:
        return f'the last step must be "encode"; got {verb!r}, add an encode step after it'
    if verb == Encode.verb:
        return '"encode" must be the last step, and there is one; move it to the end'
    return f"there is no step {verb!r}; use one of: {', '.join([*verbs, Encode.verb])}"
