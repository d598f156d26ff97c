"""Recipes: how each rendition is made, as the settings say. Plain Python; libvips is not needed to read them."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from mayfly.model.errors import Misconfigured
from mayfly.processing.own.step import OWN_STEPS, OwnStep
from mayfly.processing.own.step import split as split_own
from mayfly.processing.stage import HANDED_OVER, Stage, attachments
from mayfly.processing.steps import STEPS, ColourSpace, Encode, Step, Watermark
from mayfly.processing.steps.step import Params, files_beneath

MOST_RENDITIONS = 16
MOST_STEPS = 32
MOST_FILE_BYTES = 4 * 1024 * 1024
"""Of all files that steps name, each content counted once."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
STEP_START_SECONDS = 130.0
"""Allowed beside a step's own time: its processes may have to be started first, and what it imports may be large."""
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


@dataclass(frozen=True, slots=True)
class Leg:
    """A step of the user's own, and the stage that decodes what it gives back and goes on from there."""

    own: OwnStep
    stage: Stage


@dataclass(frozen=True)
class Recipe:
    """One rendition's name, its steps, and the encoding they end with.

    A step of the user's own is no step of the cage's. So a recipe is cut at them: a first stage, unless it begins with
    one, and then a leg for each.
    """

    name: str
    steps: tuple[Step | OwnStep, ...]
    encode: Encode

    def to_json(self) -> dict[str, Any]:
        """The recipe as it may stand in settings, with every default written out."""
        return {"steps": [step.to_json() for step in self.steps] + [self.encode.to_json()]}

    @cached_property
    def first(self) -> Stage | None:
        """What is made of the original in the one pass that all recipes share. None: a step of the user's own comes
        first, and is handed the original."""
        stages = self._cut()
        return None if isinstance(next(iter(self.steps), None), OwnStep) else stages[0]

    @cached_property
    def legs(self) -> tuple[Leg, ...]:
        """What comes after it. Empty for a recipe of built-in steps alone."""
        return tuple(Leg(own, stage) for own, stage in zip(self._own(), self._cut()[1:], strict=True))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All that runs in the cage."""
        return (*((self.first,) if self.first else ()), *(leg.stage for leg in self.legs))

    @cached_property
    def hash(self) -> str:
        """Names what the recipe does: 16 hex digits of the SHA-256 of its steps as JSON, keys sorted. Equal
        steps have equal hashes, whatever the rendition is called and whichever defaults were left out. A file that a
        step needs counts by its content; a step of the user's own by its code and its parameters, and by what becomes
        of its facts.

        Raises:
            Misconfigured: the code of such a step cannot be read.
        """
        named = [_named(step) for step in self.steps]
        canonical = json.dumps({"steps": [*named, self.encode.to_json()]}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:_HASH_DIGITS]

    def _own(self) -> list[OwnStep]:
        return [step for step in self.steps if isinstance(step, OwnStep)]

    def _cut(self) -> list[Stage]:
        """One stage more than there are steps of the user's own: before, between and after them."""
        runs: list[list[Step]] = [[]]
        for step in self.steps:
            if isinstance(step, OwnStep):
                runs.append([])
            else:
                runs[-1].append(step)
        between = [Stage(f"{self.name}:{place}", tuple(run), HANDED_OVER) for place, run in enumerate(runs[:-1])]
        return [*between, Stage(self.name, tuple(runs[-1]), self.encode)]


def longest_run(recipes: Iterable[Recipe], pass_seconds: float) -> float:
    """Seconds that one attempt may take: a pass through the cage for all, and for each leg its step and a pass more."""
    legs = [leg for recipe in recipes for leg in recipe.legs]
    return pass_seconds + sum(STEP_START_SECONDS + leg.own.timeout + pass_seconds for leg in legs)


def _named(step: Step | OwnStep) -> Any:
    """A step as the hash has it: by what it does, not by where its files are."""
    if isinstance(step, OwnStep):
        return {step.verb: {"fingerprint": step.fingerprint, "facts": step.facts}}
    named = step.to_json()
    if isinstance(step, Watermark):
        return {step.verb: {key: value for key, value in named[step.verb].items() if key != "file"}}
    return named


def recipes_to_json(recipes: Iterable[Recipe]) -> dict[str, Any]:
    """The inverse of `parse_recipes`."""
    return {recipe.name: recipe.to_json() for recipe in recipes}


def parse_recipes(raw: Mapping[str, Any], folder: Path = Path()) -> tuple[Recipe, ...]:
    """From the table `renditions` of the settings, in its order. Relative paths in it begin in `folder`.

    Raises:
        Misconfigured: with every fault found, each beginning with its key path.
    """
    faults: list[str] = []
    if len(raw) > MOST_RENDITIONS:
        faults.append(f"renditions: at most {MOST_RENDITIONS} can be made of an image; got {len(raw)}, remove some")
    parsed = [_parse_recipe(f"renditions.{name}", name, table, faults, folder) for name, table in raw.items()]
    stages = [stage for recipe in parsed if recipe for stage in recipe.stages]
    kept = {one.sha256: len(one.data) for stage in stages for one in attachments(stage.steps)}
    if sum(kept.values()) > MOST_FILE_BYTES:
        faults.append(f"renditions: the files that steps name may be {MOST_FILE_BYTES // 1024} KiB together; use fewer")
    if faults:
        raise Misconfigured(*faults)
    return tuple(recipe for recipe in parsed if recipe is not None)


def _parse_recipe(path: str, name: str, table: Any, faults: list[str], folder: Path) -> Recipe | None:
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
    steps = [
        _parse_own(f"{path}.steps[{place}]", entry, faults, folder)
        if split_own(entry)
        else _parse_step(f"{path}.steps[{place}]", entry, STEPS, faults, folder)
        for place, entry in enumerate(firsts)
    ]
    encode = _parse_step(f"{path}.steps[{len(firsts)}]", last, {Encode.verb: Encode}, faults, folder)
    if encode is None:
        return None
    recipe = Recipe(name, tuple(step for step in steps if step is not None), encode)
    if any(_holds_cmyk(stage) and stage.encode.format != "jpeg" for stage in recipe.stages):
        given = ", and a step of your own is given PNG" if recipe.legs else ""
        place = f"{path}.steps[{len(firsts)}].encode.format"
        faults.append(f'{place}: must be "jpeg", the only format that can hold CMYK{given}')
    return recipe


def _holds_cmyk(stage: Stage) -> bool:
    return any(isinstance(step, ColourSpace) and step.space == "cmyk" for step in stage.steps)


def _parse_own(path: str, entry: Any, faults: list[str], folder: Path) -> OwnStep | None:
    """What this machine lacks for the step is told with what its table lacks."""
    split = split_own(entry)
    assert split is not None
    verb, table = split
    found: list[str] = []
    step = OWN_STEPS[verb].parse(Params(f"{path}.{verb}", table, found)).located(folder)
    faults += found or [f"{path}.{verb}.{fault}" for fault in step.faults()]
    return step


def _parse_step(
    path: str, entry: Any, verbs: Mapping[str, type[_Parsed]], faults: list[str], folder: Path
) -> _Parsed | None:
    split = split_own(entry) or _split(entry)
    if split is None:
        faults.append(f'{path}: must be a verb such as "orient", or one verb with its table; got {str(entry)[:60]!r}')
        return None
    verb, table = split
    if verb not in verbs:
        faults.append(f"{path}: {_misplaced(verb, verbs)}")
        return None
    return verbs[verb].parse(Params(f"{path}.{verb}", table, faults, files_beneath(folder)))


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
    return f"there is no step {verb!r}; use one of: {', '.join([*verbs, *OWN_STEPS, Encode.verb])}"
