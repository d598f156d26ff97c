"""Recipes are read from settings, and every fault in them is told at once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mayfly.model.errors import Misconfigured
from mayfly.processing.recipe import DEFAULT_RENDITIONS, parse_recipes, recipes_to_json
from mayfly.processing.stage import Stage
from mayfly.processing.steps import Encode, Orient, Resize
from mayfly.processing.steps.step import files_beneath

WEBP = {"encode": {"format": "webp"}}


def one(*steps: Any) -> dict[str, Any]:
    return {"thumb": {"steps": list(steps)}}


def faults_of(raw: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(Misconfigured) as caught:
        parse_recipes(raw)
    return caught.value.faults


def test_the_defaults_are_thumb_preview_and_large() -> None:
    assert [(recipe.name, recipe.steps, recipe.encode) for recipe in parse_recipes(DEFAULT_RENDITIONS)] == [
        ("thumb", (Orient(), Resize(256, 256)), Encode("webp", 80)),
        ("preview", (Orient(), Resize(1024, 1024)), Encode("jpeg", 80, "webp")),
        ("large", (Orient(), Resize(2048, 2048, slack=3)), Encode("jpeg", 80, "webp")),
    ]


def test_recipes_are_written_as_they_may_stand_in_settings() -> None:
    recipes = parse_recipes(DEFAULT_RENDITIONS)
    assert parse_recipes(recipes_to_json(recipes)) == recipes


def test_stages_survive_the_way_to_a_worker() -> None:
    for recipe in parse_recipes(DEFAULT_RENDITIONS):
        for stage in recipe.stages:
            assert Stage.from_json(stage.to_json(), files_beneath(Path())) == stage


def test_the_hash_names_what_is_done_not_how_it_is_written() -> None:
    (short,) = parse_recipes(one("orient", {"resize": {"width": 9, "height": 9}}, WEBP))
    written_out = {"resize": {"mode": "fit", "height": 9, "width": 9, "slack": 0}}
    (long,) = parse_recipes(
        {"other": {"steps": ["orient", written_out, {"encode": {"format": "webp", "quality": 80}}]}}
    )
    (different,) = parse_recipes(one("orient", {"resize": {"width": 9, "height": 8}}, WEBP))
    assert short.hash == long.hash != different.hash


def test_the_hash_does_not_change_between_releases() -> None:
    hashes = {recipe.name: recipe.hash for recipe in parse_recipes(DEFAULT_RENDITIONS)}
    assert hashes == {"thumb": "017f47e77ec239de", "preview": "d9ffc1949e8b4b07", "large": "43dfa995de4bb536"}


@pytest.mark.parametrize(
    ("original", "scaled"),
    [
        ((4032, 3024), (2016, 1512)),  # half of it is 1.6 % under the box
        ((4000, 3000), (2000, 1500)),
        ((3024, 4032), (1512, 2016)),
        ((4288, 2848), (2048, 1360)),  # half of it is larger than the box
        ((3900, 2600), (2048, 1365)),  # half of it is 4.8 % under
        ((8064, 6048), (2016, 1512)),
        ((2048, 1536), (2048, 1536)),
        ((1000, 800), (1000, 800)),
    ],
)
def test_slack_takes_a_half_or_a_quarter_that_is_little_under_the_box(
    original: tuple[int, int], scaled: tuple[int, int]
) -> None:
    assert Resize(2048, 2048, slack=3).reach(original) == scaled


def test_without_slack_a_picture_is_as_large_as_the_box_allows() -> None:
    assert Resize(2048, 2048).reach((4032, 3024)) == (2048, 1536)


def test_all_faults_are_told_together_each_with_its_key() -> None:
    faults = faults_of(
        {
            "Thumb": {"steps": ["orient", {"resize": {"width": 0, "mode": "stretch"}}, "encode"]},
            "b": {"steps": [WEBP, "orient"]},
            "c": {"steps": ["smear", {"encode": {"format": "png", "quality": 3}}], "colour": 1},
        }
    )
    assert [fault.partition(": ")[0] for fault in faults] == [
        "renditions.Thumb",
        "renditions.Thumb.steps[1].resize.width",
        "renditions.Thumb.steps[1].resize.height",
        "renditions.Thumb.steps[1].resize.mode",
        "renditions.Thumb.steps[2].encode.format",
        "renditions.b.steps[0]",
        "renditions.b.steps[1]",
        "renditions.c.colour",
        "renditions.c.steps[0]",
        "renditions.c.steps[1].encode.quality",
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (one("orient", {"resize": {"width": True, "height": 9}}, WEBP), "must be a whole number from 1 to 16383"),
        (one("orient", {"resize": {"width": "9", "height": 9}}, WEBP), "must be a whole number"),
        (one("orient"), 'the last step must be "encode"'),
        (one(), "must hold 1 to 32 steps"),
        (one(*["orient"] * 40, WEBP), "must hold 1 to 32 steps"),
        (one(7, WEBP), "must be a verb"),
        (one({"resize": {}, "orient": {}}, WEBP), "must be a verb"),
        (one({"encode": {"format": "bmp"}}), 'one of "jpeg", "png", "webp", "avif"'),
        ({"thumb": ["orient"]}, "must be a list of steps"),
        ({"thumb": {"steps": "orient"}}, "must be a list of steps"),
        ({f"r{n}": {"steps": [WEBP]} for n in range(17)}, "at most 16"),
    ],
)
def test_a_fault_says_what_to_do(raw: dict[str, Any], said: str) -> None:
    assert any(said in fault for fault in faults_of(raw))


@pytest.mark.parametrize(
    ("size", "scaled"),
    [((4000, 3000), (256, 192)), ((3000, 4000), (192, 256)), ((100, 50), (100, 50)), ((60000, 3), (256, 1))],
)
def test_fitting_never_enlarges_and_leaves_at_least_a_pixel(size: tuple[int, int], scaled: tuple[int, int]) -> None:
    assert Resize(256, 256).reach(size) == scaled


def test_reading_recipes_does_not_load_the_image_libraries() -> None:
    code = "import sys, mayfly.processing.recipe, mayfly.processing.sandbox; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"pyvips", "_libvips", "pi_heif", "PIL"} & set(loaded)


@pytest.mark.parametrize(
    ("step", "key", "said"),
    [
        ({"resize": {"width": 9, "height": 9, "mode": "cover", "slack": 1}}, "resize.slack", "is not a parameter here"),
        (
            {"resize": {"width": 9, "height": 9, "mode": "exact", "enlarge": True}},
            "resize.enlarge",
            "is not a parameter",
        ),
        ({"resize": {"width": 9, "height": 9, "gravity": "north"}}, "resize.gravity", "is not a parameter here"),
        (
            {"resize": {"width": 9, "height": 9, "mode": "fill", "gravity": "entropy"}},
            "resize.gravity",
            'one of "centre"',
        ),
        (
            {"resize": {"width": 16_000, "height": 16_000, "mode": "fill"}},
            "resize.height",
            "at most 100000000 pixels; got 256000000",
        ),
        (
            {"resize": {"width": 16_000, "height": 16_000, "enlarge": True}},
            "resize.height",
            "at most 100000000 pixels",
        ),
        ({"crop": {"width": 9}}, "crop.height", "is missing"),
        ({"crop": {"width": 9, "height": 9, "gravity": "up"}}, "crop.gravity", "\"attention\"; got 'up'"),
        ({"rotate": {}}, "rotate.angle", "is missing; give a number from -360 to 360"),
        ({"rotate": {"angle": 361}}, "rotate.angle", "must be a number from -360 to 360; got 361"),
        ({"rotate": {"angle": float("nan")}}, "rotate.angle", "must be a number"),
        ({"rotate": {"angle": 10**400}}, "rotate.angle", "must be a number"),
        ({"rotate": {"angle": True}}, "rotate.angle", "must be a number"),
        ({"rotate": {"angle": 1, "background": "red"}}, "rotate.background", "must be a colour such as"),
        ({"rotate": {"angle": 1, "background": "#fff"}}, "rotate.background", "got '#fff'"),
        ({"rotate": {"angle": 1, "background": 7}}, "rotate.background", "must be a colour such as"),
        ("flip", "flip.direction", "is missing"),
        ("pad", "pad.width", "is missing"),
        ({"pad": {"top": 1, "width": 9}}, "pad.width", "is not a parameter here"),
        ({"pad": {"width": 16_000, "height": 16_000}}, "pad.height", "at most 100000000 pixels"),
        ({"sharpen": {"sigma": 0}}, "sharpen.sigma", "must be a number from 0.3 to 10; got 0"),
        ("blur", "blur.sigma", "is missing"),
        ({"blur": {"sigma": "2"}}, "blur.sigma", "must be a number from 0.3 to 50"),
        ("adjust", "adjust.brightness", "is missing; give it, or `contrast`, or `saturation`"),
        ({"adjust": {"brightness": -1}}, "adjust.brightness", "must be a number from 0 to 10"),
        ("watermark", "watermark.file", "is missing"),
        ({"watermark": {"file": 7}}, "watermark.file", "must be a text"),
        ({"colourspace": {"space": "lab"}}, "colourspace.space", "must be one of"),
        ({"colourspace": {"space": "grey", "profile": True}}, "colourspace.profile", "is not a parameter here"),
        ({"greyscale": {"amount": 1}}, "greyscale.amount", "is not a parameter here; remove it"),
        ({"strip": {"keep": 1}}, "strip.keep", "is not a parameter here; remove it"),
    ],
)
def test_each_verb_tells_its_faults(step: Any, key: str, said: str) -> None:
    (fault,) = [fault for fault in faults_of(one(step, WEBP)) if fault.startswith(f"renditions.thumb.steps[0].{key}: ")]
    assert said in fault


@pytest.mark.parametrize(
    "step",
    [
        {"resize": {"width": 9, "height": 8, "mode": "cover", "gravity": "attention", "enlarge": True}},
        {"resize": {"width": 9, "height": 8, "mode": "fill", "gravity": "north", "background": "#01020304"}},
        {"resize": {"width": 9, "height": 8, "mode": "exact"}},
        {"crop": {"width": 9, "height": 8, "gravity": "entropy"}},
        {"rotate": {"angle": -12.5, "background": "#ABCDEF"}},
        {"flip": {"direction": "vertical"}},
        {"pad": {"top": 1, "right": 2, "bottom": 3, "left": 4, "background": "#00000000"}},
        {"pad": {"width": 9, "height": 8, "gravity": "west"}},
        {"sharpen": {"sigma": 2, "amount": 1}},
        {"blur": {"sigma": 2}},
        "greyscale",
        {"adjust": {"saturation": 0.5}},
        {"colourspace": {"space": "srgb", "profile": True}},
        {"colourspace": {"space": "display-p3"}},
        "strip",
    ],
)
def test_a_step_survives_being_written_and_read(step: Any) -> None:
    recipes = parse_recipes(one(step, {"encode": {"format": "webp", "effort": 3, "lossless": True}}))
    assert parse_recipes(recipes_to_json(recipes)) == recipes
    assert parse_recipes(recipes_to_json(recipes))[0].hash == recipes[0].hash


def test_a_number_is_the_same_written_whole_and_colours_whatever_their_case() -> None:
    whole = parse_recipes(one({"rotate": {"angle": 12, "background": "#ABCDEF"}}, WEBP))
    broken = parse_recipes(one({"rotate": {"angle": 12.0, "background": "#abcdefff"}}, WEBP))
    assert whole[0].hash == broken[0].hash
