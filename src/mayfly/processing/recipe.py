"""Recipes: how each rendition is made, as the settings say. Plain Python; libvips is not needed to read them."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from mayfly.model.errors import Misconfigured
from mayfly.processing.stage import Stage, attachments
from mayfly.processing.steps import STEPS, ColourSpace, Encode, Step, Watermark
from mayfly.processing.steps.step import Files, Params, on_disk

MOST_RENDITIONS = 16
MOST_STEPS = 32
MOST_FILE_BYTES = 4 * 1024 * 1024
"""Of all files that steps name, each content counted once."""
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
        steps have equal hashes, whatever the rendition is called and whichever defaults were left out. A file that a
        step needs counts by its content."""
        named = [_without_path(entry) for entry in self.to_json()["steps"]]
        canonical = json.dumps({"steps": named}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:_HASH_DIGITS]


def _without_path(entry: Any) -> Any:
    """A step as JSON, its file named by its content alone."""
    if isinstance(entry, Mapping) and Watermark.verb in entry:
        table = entry[Watermark.verb]
        return {Watermark.verb: {key: value for key, value in table.items() if key != "file"}}
    return entry


def recipes_to_json(recipes: Iterable[Recipe]) -> dict[str, Any]:
    """The inverse of `parse_recipes`."""
    return {recipe.name: recipe.to_json() for recipe in recipes}


def parse_recipes(raw: Mapping[str, Any], files: Files = on_disk) -> tuple[Recipe, ...]:
    """From the table `renditions` of the settings, in its order. `files` is where the files they name are read.

    Raises:
        Misconfigured: with every fault found, each beginning with its key path.
    """
    faults: list[str] = []
    if len(raw) > MOST_RENDITIONS:
        faults.append(f"renditions: at most {MOST_RENDITIONS} can be made of an image; got {len(raw)}, remove some")
    parsed = [_parse_recipe(f"renditions.{name}", name, table, faults, files) for name, table in raw.items()]
    kept = {one.sha256: len(one.data) for recipe in parsed if recipe for one in attachments(recipe.steps)}
    if sum(kept.values()) > MOST_FILE_BYTES:
        faults.append(f"renditions: the files that steps name may be {MOST_FILE_BYTES // 1024} KiB together; use fewer")
    if faults:
        raise Misconfigured(*faults)
    return tuple(recipe for recipe in parsed if recipe is not None)


def _parse_recipe(path: str, name: str, table: Any, faults: list[str], files: Files) -> Recipe | None:
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
    steps = [_parse_step(f"{path}.steps[{place}]", entry, STEPS, faults, files) for place, entry in enumerate(firsts)]
    encode = _parse_step(f"{path}.steps[{len(firsts)}]", last, {Encode.verb: Encode}, faults, files)
    if encode is None:
        return None
    if encode.format != "jpeg" and any(isinstance(step, ColourSpace) and step.space == "cmyk" for step in steps):
        faults.append(f'{path}.steps[{len(firsts)}].encode.format: must be "jpeg", the only format that can hold CMYK')
    return Recipe(name, tuple(step for step in steps if step is not None), encode)


def _parse_step(
    path: str, entry: Any, verbs: Mapping[str, type[_Parsed]], faults: list[str], files: Files
) -> _Parsed | None:
    split = _split(entry)
    if split is None:
        faults.append(f'{path}: must be a verb such as "orient", or one verb with its table; got {str(entry)[:60]!r}')
        return None
    verb, table = split
    if verb not in verbs:
        faults.append(f"{path}: {_misplaced(verb, verbs)}")
        return None
    return verbs[verb].parse(Params(f"{path}.{verb}", table, faults, files))


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
