"""The steps' page: every verb with its parameters, and every example and picture is what the code makes of it."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import pyvips

from mayfly.processing.limits import Limits
from mayfly.processing.recipe import MOST_RENDITIONS, Recipe
from mayfly.processing.sandbox import Sandbox
from mayfly.processing.steps import STEPS, Encode, Step
from mayfly.processing.steps.step import Params

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("step_pictures", ROOT / "scripts" / "step_pictures.py")
assert _spec is not None
assert _spec.loader is not None
script: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)

PAGE = script.PAGE.read_text(encoding="utf-8")
EXAMPLES: dict[str, Any] = script.examples()
VERBS: dict[str, type[Step] | type[Encode]] = {**STEPS, Encode.verb: Encode}
MOST_BYTES = 600_000

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "resize": [{"mode": mode} for mode in ("fit", "fill", "cover", "exact")],
    "pad": [{}, {"top": 1}],
    "colourspace": [{"space": "srgb"}],
    "encode": [{"format": name, "effort": 1} for name in ("jpeg", "png", "webp", "avif")],
}
"""What a verb has to be asked with, so that it reads all of its parameters."""


class Listening(Params):
    """Remembers what is asked for."""

    @property
    def asked(self) -> set[str]:
        return self._known


def parameters(verb: str) -> set[str]:
    found: set[str] = set()
    for variant in VARIANTS.get(verb, [{}]):
        params = Listening(verb, variant, [])
        VERBS[verb].parse(params)
        found |= params.asked
    return found


def section(verb: str) -> str:
    [found] = re.findall(rf"^## {verb}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_page_has_a_section_for_every_verb_and_no_other() -> None:
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == list(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_section_tells_every_parameter_and_no_other(verb: str) -> None:
    header = "| parameter | type | bounds | default | meaning |\n|---|---|---|---|---|\n"
    _, _, rows = section(verb).partition(header)
    assert set(re.findall(r"^\| `(\w+)` \|", rows.partition("\n\n")[0], re.MULTILINE)) == parameters(verb)


@pytest.mark.parametrize("verb", VERBS)
def test_a_section_has_an_example_of_its_verb_with_a_picture_before_and_after(verb: str) -> None:
    names = [name for name in EXAMPLES if f"[renditions.{name}]" in section(verb)]
    assert names
    for name in names:
        assert any(verb in step for step in EXAMPLES[name]["steps"])
        assert f"](../images/steps/{name}." in section(verb)
    assert "](../images/steps/before" in section(verb)


def test_every_example_gives_its_picture_in_the_cage() -> None:
    """Also what holds the pictures to the code: make them anew with scripts/step_pictures.py."""
    recipes = [script.recipe(name, table) for name, table in EXAMPLES.items()]
    lying = [recipe for recipe in recipes if recipe.name.startswith("orient")]
    others = [recipe for recipe in recipes if recipe not in lying]
    batches = [lying, *(others[at : at + MOST_RENDITIONS] for at in range(0, len(others), MOST_RENDITIONS))]
    different = {name: by for batch in batches for name, by in differences(batch).items() if by > 3}
    assert different == {}


def differences(recipes: list[Recipe]) -> dict[str, float]:
    """How far the mean pixel of each is from the picture on the page, of 255. Not 0 on each processor: the page's
    were made one by one."""
    data, media_type = script.original(recipes[0].name)
    found: dict[str, float] = {}
    with Sandbox(Limits(), recipes) as sandbox, sandbox.desk(len(data)) as body:
        body.view[: len(data)] = data
        with sandbox.run(body, media_type) as outcome:
            for one in outcome.pictures:
                made = pyvips.Image.new_from_buffer(bytes(one.data), "")
                shown = pyvips.Image.new_from_file(str(script.place(one.name, one.media_type)))
                assert (made.width, made.height, made.bands) == (shown.width, shown.height, shown.bands), one.name
                found[one.name] = (made.cast("short") - shown.cast("short")).abs().avg()
    return found


def test_the_pictures_are_few_bytes_and_all_of_them_are_shown() -> None:
    pictures = sorted(script.FOLDER.iterdir())
    assert sum(path.stat().st_size for path in pictures) < MOST_BYTES
    assert [path.name for path in pictures if f"](../images/steps/{path.name})" not in PAGE] == []


def test_the_scene_on_the_page_is_the_one_that_is_painted() -> None:
    painted = pyvips.Image.svgload(str(script.SCENE)).flatten().thumbnail_image(script.SIDE)
    shown = pyvips.Image.new_from_file(str(script.BEFORE))
    assert (painted.cast("short") - shown.cast("short")).abs().avg() < 4
