"""Steps in company: renditions that share a decode, every kind of original, and the cage."""

from itertools import combinations, pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from mayfly.model.errors import AttemptFailed
from mayfly.model.image import MediaType
from mayfly.processing.decode import says_out_of_memory
from mayfly.processing.limits import MIB, Limits
from mayfly.processing.pipeline import process, reach
from mayfly.processing.recipe import Recipe, parse_recipes
from mayfly.processing.sandbox import Sandbox
from mayfly.processing.steps import Orient, Resize

PNG = {"encode": {"format": "png"}}
RECIPES: dict[str, list[Any]] = {
    "fit": ["orient", {"resize": {"width": 90, "height": 90}}],
    "fill": ["orient", {"resize": {"width": 60, "height": 100, "mode": "fill", "background": "#00000000"}}],
    "cover": ["orient", {"resize": {"width": 50, "height": 120, "mode": "cover"}}],
    "exact": ["orient", {"resize": {"width": 150, "height": 20, "mode": "exact"}}],
    "larger": ["orient", {"resize": {"width": 700, "height": 700, "enlarge": True}}],
    "cropped": ["orient", {"crop": {"width": 100, "height": 100}}, {"resize": {"width": 40, "height": 40}}],
    "turned": ["orient", {"rotate": {"angle": 90}}, {"resize": {"width": 64, "height": 64}}],
    "tilted": ["orient", {"resize": {"width": 80, "height": 80}}, {"rotate": {"angle": 12}}],
    "flipped": ["orient", {"flip": {"direction": "vertical"}}, {"resize": {"width": 30, "height": 30}}],
    "grey": ["orient", "strip", "greyscale", {"resize": {"width": 70, "height": 70}}],
    "adjusted": [{"adjust": {"contrast": 1.5}}, "orient", {"resize": {"width": 75, "height": 75}}],
    "framed": ["orient", {"resize": {"width": 44, "height": 44}}, {"pad": {"top": 3, "left": 9}}],
    "soft": ["orient", {"blur": {"sigma": 2}}, {"resize": {"width": 55, "height": 55}}],
    "crisp": ["orient", {"resize": {"width": 85, "height": 85}}, "sharpen"],
    "p3": ["orient", {"colourspace": {"space": "display-p3"}}, {"resize": {"width": 66, "height": 66}}],
}


def recipes(*names: str) -> tuple[Recipe, ...]:
    return parse_recipes({name: {"steps": [*RECIPES[name], PNG]} for name in names})


def run(data: bytes, kind: str, wanted: tuple[Recipe, ...]) -> dict[str, Any]:
    stages = [stage for recipe in wanted for stage in recipe.stages]
    result = process(memoryview(data), MediaType(f"image/{kind}"), stages, Limits())
    pictures = {made.name: pyvips.Image.new_from_buffer(made.data, "").copy_memory() for made in result.renditions}
    for made in result.renditions:
        assert (pictures[made.name].width, pictures[made.name].height) == (made.width, made.height)
    return pictures


def difference(one: Any, other: Any) -> float:
    return float((one.cast("short") - other.cast("short")).abs().avg())


@pytest.fixture(scope="module")
def original(pictures: SimpleNamespace) -> bytes:
    """Lying on its side: 301 x 200 once upright."""
    soft = pictures.quadrants(300, 200).embed(0, 0, 301, 200, extend="copy").gaussblur(6)
    lying = pictures.with_orientation(soft.rot270(), 6)
    return bytes(pictures.encoded(lying, "jpeg"))


@pytest.mark.parametrize("name", RECIPES)
def test_a_rendition_is_the_same_whichever_others_are_made(name: str, original: bytes) -> None:
    alone, together = run(original, "jpeg", recipes(name))[name], run(original, "jpeg", recipes(*RECIPES))[name]
    assert (alone.width, alone.height, alone.bands) == (together.width, together.height, together.bands)
    assert difference(alone, together) < 1.5


def test_each_recipe_in_company_has_the_size_it_says(original: bytes) -> None:
    found = {name: (image.width, image.height) for name, image in run(original, "jpeg", recipes(*RECIPES)).items()}
    assert found == {
        "fit": (90, 60),
        "fill": (60, 100),
        "cover": (50, 120),
        "exact": (150, 20),
        "larger": (700, 465),
        "cropped": (40, 40),
        "turned": (43, 64),
        "tilted": (89, 68),
        "flipped": (30, 20),
        "grey": (70, 47),
        "adjusted": (75, 50),
        "framed": (53, 32),
        "soft": (55, 37),
        "crisp": (85, 56),
        "p3": (66, 44),
    }


def test_a_verb_before_the_resizing_has_all_pixels_to_work_on(original: bytes, pictures: SimpleNamespace) -> None:
    """The middle 100 x 100 of the whole, not of what a smaller rendition left."""
    image = run(original, "jpeg", recipes("fit", "cropped"))["cropped"]
    found = [image.getpoint(x, y) for y in (4, 35) for x in (4, 35)]
    for one, wanted in zip(found, (pictures.red, pictures.green, pictures.blue, pictures.white), strict=True):
        assert one == pytest.approx(wanted, abs=20)


sides = st.integers(1, 16_383)
boxes = st.builds(
    Resize, sides, sides, st.sampled_from(["fit", "fill", "cover", "exact"]), st.integers(0, 10), st.booleans()
)


@settings(max_examples=300, deadline=None)
@given(st.lists(boxes, min_size=2, max_size=5), st.integers(1, 60_000), st.integers(1, 60_000), st.integers(1, 8))
def test_the_largest_leaves_enough_for_every_smaller_one(
    steps: list[Resize], width: int, height: int, orientation: int
) -> None:
    reaches = sorted((reach((Orient(), step), (width, height), orientation) for step in steps), reverse=True)
    assert all(larger[0] >= smaller[0] and larger[1] >= smaller[1] for larger, smaller in pairwise(reaches))
    assert reaches[0] <= (width, height)


@pytest.mark.parametrize(("name", "whole"), [("grey", False), ("flipped", False), ("cropped", True), ("soft", True)])
def test_only_what_needs_all_pixels_gets_them(name: str, whole: bool) -> None:
    (recipe,) = recipes(name)
    [stage] = recipe.stages
    assert (reach(stage.steps, (4000, 3000), 1) == (4000, 3000)) is whole


def originals(pictures: SimpleNamespace) -> list[tuple[bytes, str]]:
    image = pictures.photo(300, 200)
    deep = (image.cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16")
    half = (pyvips.Image.black(150, 200) + 255).cast("uchar").embed(0, 0, 300, 200)
    return [
        (image.jpegsave_buffer(), "jpeg"),
        (image.icc_export(output_profile="cmyk").jpegsave_buffer(), "jpeg"),
        (image.icc_transform("p3", input_profile="srgb").jpegsave_buffer(profile="p3"), "jpeg"),
        (deep.bandjoin(half.cast("ushort") * 257).cast("ushort").pngsave_buffer(), "png"),
        (image.colourspace("grey16").pngsave_buffer(), "png"),
        (image.bandjoin(half).webpsave_buffer(), "webp"),
        (pictures.animation("gif"), "gif"),
        (pictures.with_orientation(image, 7).jpegsave_buffer(), "jpeg"),
        (pyvips.Image.black(1, 1, bands=3).copy(interpretation="srgb").pngsave_buffer(), "png"),
        (pyvips.Image.black(9000, 1, bands=3).copy(interpretation="srgb").pngsave_buffer(), "png"),
    ]


def everything() -> tuple[Recipe, ...]:
    """Every verb but the watermark in one recipe, in two colour spaces."""
    steps = [
        "orient",
        {"crop": {"width": 250, "height": 180, "gravity": "attention"}},
        {"flip": {"direction": "horizontal"}},
        {"resize": {"width": 120, "height": 120, "mode": "cover", "gravity": "entropy"}},
        {"rotate": {"angle": 8, "background": "#00000000"}},
        {"adjust": {"brightness": 1.1, "contrast": 1.1, "saturation": 0.5}},
        {"blur": {"sigma": 0.8}},
        "sharpen",
        {"pad": {"width": 200, "height": 160, "background": "#33669980"}},
        "greyscale",
        "strip",
    ]
    last = {"cmyk": "jpeg", "display-p3": "webp"}
    return parse_recipes(
        {
            f"all-{kind}": {"steps": [*steps, {"colourspace": {"space": space}}, {"encode": {"format": kind}}]}
            for space, kind in last.items()
        }
    )


def test_every_verb_works_on_every_kind_of_original_in_the_cage(pictures: SimpleNamespace) -> None:
    given = originals(pictures)
    with Sandbox(Limits(), everything()) as sandbox:
        for data, kind in given:
            with sandbox.desk(len(data)) as body:
                body.view[: len(data)] = data
                with sandbox.run(body, f"image/{kind}") as outcome:
                    for picture in outcome.pictures:
                        assert min(picture.width, picture.height) >= 1
                        if kind == "jpeg":
                            assert (picture.width, picture.height) == (200, 160)
        assert sandbox.pid is not None


def test_every_verb_on_its_own_works_in_the_cage(pictures: SimpleNamespace, original: bytes) -> None:
    with Sandbox(Limits(), recipes(*RECIPES)) as sandbox, sandbox.desk(len(original)) as body:
        body.view[: len(original)] = original
        with sandbox.run(body, "image/jpeg") as outcome:
            found = {one.name: pictures.decoded(bytes(one.data)) for one in outcome.pictures}
    here = run(original, "jpeg", recipes(*RECIPES))
    assert all(difference(found[name], here[name]) == 0 for name in RECIPES)


def test_names_of_recipes_here_differ_in_what_they_do() -> None:
    """So that company above is company."""
    assert all(one.hash != other.hash for one, other in combinations(recipes(*RECIPES), 2))


def test_the_bound_on_pixels_is_that_of_the_worker(pictures: SimpleNamespace) -> None:
    data = pictures.encoded(pictures.quadrants(), "png")
    steps = [{"pad": {"top": 600, "left": 600}}, PNG]
    [stage] = parse_recipes({"padded": {"steps": steps}})[0].stages
    process(memoryview(data), MediaType.PNG, [stage], Limits(pixels=600_000))
    with pytest.raises(AttemptFailed, match=r"^rendition-too-large$"):
        process(memoryview(data), MediaType.PNG, [stage], Limits(pixels=500_000))


def test_memory_that_runs_out_in_a_step_is_told_as_such(pictures: SimpleNamespace) -> None:
    large = {"resize": {"width": 10_000, "height": 10_000, "mode": "exact"}}
    data = pictures.encoded(pictures.quadrants(), "png")
    wanted = parse_recipes({"large": {"steps": [large, {"encode": {"format": "jpeg"}}]}})
    with Sandbox(Limits(memory=256 * MIB), wanted) as sandbox, sandbox.desk(len(data)) as body:
        body.view[: len(data)] = data
        with pytest.raises(AttemptFailed, match=r"^out-of-memory$"):
            sandbox.run(body, "image/png")


@pytest.mark.parametrize(
    "said",
    [
        "webpsave: failed to allocate 144000000 bytes",
        "webpsave: picture memory error",
        "heif: Memory allocation error: Unspecified: Allocating 144000015 bytes failed (6.0)",
    ],
)
def test_memory_that_runs_out_in_an_encoder_is_known_by_its_words(said: str) -> None:
    assert says_out_of_memory(said)
