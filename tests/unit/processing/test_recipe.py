"""Recipes are read from settings, and every fault in them is told at once."""

import subprocess
import sys
from typing import Any

import pytest

from mayfly.model.errors import Misconfigured
from mayfly.processing.recipe import DEFAULT_RENDITIONS, parse_recipes, recipes_to_json
from mayfly.processing.stage import Stage
from mayfly.processing.steps import Encode, Orient, Resize
from mayfly.processing.steps.step import on_disk

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
            assert Stage.from_json(stage.to_json(), on_disk) == stage


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
