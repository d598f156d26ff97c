"""What each verb does to pixels."""

from math import cos, radians, sin
from types import SimpleNamespace
from typing import Any

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from mayfly.model.errors import AttemptFailed
from mayfly.processing.picture import Picture
from mayfly.processing.steps import STEPS, Step
from mayfly.processing.steps.step import Params

RED, GREEN, BLUE, WHITE = [220, 20, 30], [20, 200, 40], [30, 40, 210], [250, 250, 250]
TURNED_ANGLES = (7.0, 45.0, -30.0, 123.4)


def step(verb: str, **params: Any) -> Step:
    faults: list[str] = []
    parsed = STEPS[verb].parse(Params(verb, params, faults))
    assert faults == []
    return parsed


def made(image: Any, verb: str, **params: Any) -> Any:
    """The image after one step."""
    picture = step(verb, **params).apply(Picture(image, (image.width, image.height)))
    assert picture.size == (picture.image.width, picture.image.height)
    assert (picture.image.format, picture.image.interpretation) == ("uchar", "srgb")
    assert picture.image.bands in (3, 4)
    return picture.image


def plain(width: int, height: int, colour: list[int] = RED) -> Any:
    image = (pyvips.Image.black(width, height, bands=len(colour)) + colour).cast("uchar")
    return image.copy(interpretation="srgb").copy_memory()


def size(image: Any) -> tuple[int, int]:
    return image.width, image.height


def at(image: Any, across: float, down: float) -> list[int]:
    """The pixel at these shares of width and height."""
    return [round(value) for value in image.getpoint(int((image.width - 1) * across), int((image.height - 1) * down))]


def near(found: list[int], wanted: list[int], by: int = 4) -> bool:
    return len(found) == len(wanted) and all(abs(a - b) <= by for a, b in zip(found, wanted, strict=True))


def same(one: Any, other: Any) -> bool:
    return size(one) == size(other) and one.bands == other.bands and bool((one == other).min() == 255)


sides = st.integers(1, 300)


@settings(max_examples=150, deadline=None)
@given(sides, sides, sides, sides, st.sampled_from(["fit", "fill", "cover", "exact"]), st.booleans())
def test_resizing_gives_the_size_that_is_documented(
    width: int, height: int, across: int, down: int, mode: str, enlarge: bool
) -> None:
    larger = {} if mode == "exact" else {"enlarge": enlarge}
    found = size(made(plain(width, height), "resize", width=across, height=down, mode=mode, **larger))
    if mode in ("fill", "exact") or (mode == "cover" and enlarge):
        assert found == (across, down)
    elif mode == "cover":
        assert found == (min(across, width), min(down, height))
    else:
        scale = min(across / width, down / height)
        scale = scale if enlarge else min(scale, 1)
        assert found == (max(1, round(width * scale)), max(1, round(height * scale)))


def test_filling_puts_the_background_around_the_whole_picture(pictures: SimpleNamespace) -> None:
    image = made(pictures.quadrants(200, 100), "resize", width=50, height=50, mode="fill", background="#0a0b0c")
    assert size(image) == (50, 50)
    assert at(image, 0.5, 0.1) == at(image, 0.5, 0.9) == [10, 11, 12]
    assert near(at(image, 0.2, 0.35), RED)
    assert near(at(image, 0.8, 0.65), WHITE)


def test_filling_stands_the_picture_where_gravity_says(pictures: SimpleNamespace) -> None:
    north = made(pictures.quadrants(200, 100), "resize", width=50, height=50, mode="fill", gravity="north")
    assert near(at(north, 0.2, 0.1), RED)
    assert at(north, 0.5, 0.8) == [255, 255, 255]


def test_a_transparent_background_gives_the_picture_alpha(pictures: SimpleNamespace) -> None:
    image = made(pictures.quadrants(200, 100), "resize", width=50, height=50, mode="fill", background="#00000000")
    assert (at(image, 0.5, 0.1), at(image, 0.2, 0.35)[3]) == ([0, 0, 0, 0], 255)


def test_a_picture_with_alpha_stands_on_an_opaque_background() -> None:
    image = made(plain(20, 10, [*RED, 0]), "pad", width=20, height=20, background="#102030")
    assert (at(image, 0.5, 0), at(image, 0.5, 0.5)[3]) == ([16, 32, 48, 255], 0)


@pytest.mark.parametrize(
    ("gravity", "colours"), [("west", (RED, BLUE)), ("east", (GREEN, WHITE)), ("north-east", (GREEN, WHITE))]
)
def test_covering_cuts_off_what_overhangs(gravity: str, colours: tuple[Any, Any], pictures: SimpleNamespace) -> None:
    image = made(pictures.quadrants(400, 200), "resize", width=40, height=40, mode="cover", gravity=gravity)
    assert size(image) == (40, 40)
    assert near(at(image, 0.5, 0.2), colours[0])
    assert near(at(image, 0.5, 0.8), colours[1])


def test_covering_keeps_proportions(pictures: SimpleNamespace) -> None:
    image = made(pictures.quadrants(400, 200), "resize", width=40, height=40, mode="cover")
    assert near(at(image, 0.45, 0.4), RED)
    assert near(at(image, 0.55, 0.6), WHITE)
    assert near(at(image, 0, 0), RED)  # the centre: both columns are there


def test_exact_stretches(pictures: SimpleNamespace) -> None:
    image = made(pictures.quadrants(400, 200), "resize", width=30, height=90, mode="exact")
    found = [at(image, across, down) for down in (0.25, 0.75) for across in (0.25, 0.75)]
    assert all(near(one, other) for one, other in zip(found, [RED, GREEN, BLUE, WHITE], strict=True))


def test_a_thread_of_a_picture_can_cover_a_box() -> None:
    image = made(plain(60_000, 3), "resize", width=1000, height=1000, mode="cover", enlarge=True)
    assert (size(image), at(image, 0.5, 0.5)) == ((1000, 1000), RED)


def test_a_smaller_picture_covers_the_box_with_as_much_of_it_as_can_be(pictures: SimpleNamespace) -> None:
    image = made(pictures.quadrants(40, 20), "resize", width=100, height=200, mode="cover", enlarge=True)
    whole = made(pictures.quadrants(40, 20), "crop", width=10, height=20)
    edges = made(whole, "resize", width=100, height=200, mode="exact")
    assert same(image, edges)


def test_shrinking_premultiplies() -> None:
    """What is transparent has a colour, too, and it is not to be seen."""
    stripes = plain(100, 100, [*RED, 255]).insert(plain(50, 100, [0, 255, 0, 0]), 50, 0)
    middle = made(stripes, "resize", width=1, height=1, mode="exact").getpoint(0, 0)
    assert near([round(value) for value in middle], [*RED, 128], by=2)


def subject() -> Any:
    """Grey, with something red and detailed in the lower right."""
    dots = (pyvips.Image.gaussnoise(40, 40, mean=128, sigma=60, seed=3)).cast("uchar")
    patch = dots.bandjoin([dots.linear(0.2, 0).cast("uchar"), dots.linear(0.2, 0).cast("uchar")])
    return plain(300, 200, [120, 120, 120]).insert(patch.copy(interpretation="srgb"), 240, 140).copy_memory()


@pytest.mark.parametrize("gravity", ["entropy", "attention"])
@pytest.mark.parametrize("verb", ["crop", "resize"])
def test_the_subject_is_looked_for(verb: str, gravity: str) -> None:
    boxes: dict[str, dict[str, Any]] = {
        "crop": {"width": 80, "height": 80},
        "resize": {"width": 60, "height": 100, "mode": "cover"},
    }
    box = boxes[verb]
    found = made(subject(), verb, **box, gravity=gravity)
    centre = made(subject(), verb, **box)
    assert found.deviate() > 15
    assert centre.deviate() < 5


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides, st.sampled_from(["centre", "north", "south-west", "entropy", "attention"]))
def test_a_crop_has_the_boxs_size_or_what_there_is(
    width: int, height: int, across: int, down: int, gravity: str
) -> None:
    image = made(plain(width, height), "crop", width=across, height=down, gravity=gravity)
    assert size(image) == (min(width, across), min(height, down))


@pytest.mark.parametrize(
    ("gravity", "colour"),
    [("north-west", RED), ("north-east", GREEN), ("south-west", BLUE), ("south-east", WHITE)],
)
def test_a_crop_takes_the_part_it_names(gravity: str, colour: list[int], pictures: SimpleNamespace) -> None:
    image = made(pictures.quadrants(200, 100), "crop", width=100, height=50, gravity=gravity)
    assert same(image, plain(100, 50, colour))


def test_quarter_turns_change_no_pixel(pictures: SimpleNamespace) -> None:
    image = pictures.photo(61, 40)
    once = made(image, "rotate", angle=90)
    assert size(once) == (40, 61)
    assert once.getpoint(39, 0) == image.getpoint(0, 0)
    assert same(made(once, "rotate", angle=-90), image)
    assert same(made(image, "rotate", angle=180), made(once, "rotate", angle=90))
    assert same(made(image, "rotate", angle=270), made(image, "rotate", angle=-90))
    assert same(made(image, "rotate", angle=360), image)


@pytest.mark.parametrize("angle", TURNED_ANGLES)
def test_another_angle_grows_to_hold_the_corners(angle: float, pictures: SimpleNamespace) -> None:
    image = made(pictures.quadrants(200, 100), "rotate", angle=angle, background="#0000ff")
    along, aside = abs(cos(radians(angle))), abs(sin(radians(angle)))
    assert abs(image.width - (200 * along + 100 * aside)) <= 1.5
    assert abs(image.height - (200 * aside + 100 * along)) <= 1.5
    assert at(image, 0, 0) == at(image, 1, 1) == [0, 0, 255]


def test_a_positive_angle_turns_clockwise(pictures: SimpleNamespace) -> None:
    image = made(pictures.quadrants(200, 200), "rotate", angle=45)
    assert near(at(image, 0.5, 0.25), RED)  # from the upper left to the top


def test_turning_onto_transparency_leaves_the_pictures_colour_at_its_edge() -> None:
    image = made(plain(100, 100), "rotate", angle=30, background="#00000000")
    assert image.bands == 4
    seen = image[3] > 100
    reds = seen.ifthenelse(image[0], 220)
    assert reds.min() >= 210


def test_flips_mirror(pictures: SimpleNamespace) -> None:
    image = pictures.photo(60, 40)
    across, down = made(image, "flip", direction="horizontal"), made(image, "flip", direction="vertical")
    assert across.getpoint(59, 7) == image.getpoint(0, 7)
    assert down.getpoint(7, 39) == image.getpoint(7, 0)
    assert same(made(across, "flip", direction="horizontal"), image)


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides)
def test_padding_to_a_box_never_cuts(width: int, height: int, across: int, down: int) -> None:
    image = made(plain(width, height), "pad", width=across, height=down, gravity="south-east")
    assert size(image) == (max(width, across), max(height, down))
    assert at(image, 1, 1) == RED


def test_padding_by_margins_puts_them_where_they_belong() -> None:
    image = made(plain(10, 10), "pad", top=1, right=2, bottom=3, left=4, background="#000000")
    assert size(image) == (16, 14)
    assert same(image.crop(4, 1, 10, 10), plain(10, 10))
    assert image.getpoint(3, 5) == image.getpoint(14, 5) == image.getpoint(8, 0) == image.getpoint(8, 11) == [0, 0, 0]


def edge() -> Any:
    return plain(40, 40, [100, 100, 100]).insert(plain(20, 40, [160, 160, 160]), 20, 0).copy_memory()


def test_sharpening_overshoots_at_edges_and_leaves_flat_areas_alone() -> None:
    image = made(edge(), "sharpen", sigma=1, amount=5)
    assert image.getpoint(19, 20)[0] < 98
    assert image.getpoint(20, 20)[0] > 162
    assert near(at(image, 0.1, 0.5), [100] * 3, by=1)


def test_a_larger_amount_sharpens_more() -> None:
    overshoots = [made(edge(), "sharpen", amount=amount).getpoint(20, 20)[0] for amount in (0, 1, 8)]
    assert overshoots[0] == pytest.approx(160, abs=1)
    assert overshoots == sorted(set(overshoots))


def test_sharpening_keeps_alpha() -> None:
    alpha = pyvips.Image.xyz(40, 40)[0].cast("uchar")
    assert same(made(edge().bandjoin(alpha), "sharpen")[3], alpha)


def test_blurring_softens_edges_and_keeps_flat_areas() -> None:
    image = made(edge(), "blur", sigma=3)
    assert 125 < image.getpoint(19, 20)[0] < 135
    assert at(image, 0, 0.5) == [100] * 3
    assert made(edge(), "blur", sigma=6).getpoint(14, 20)[0] > made(edge(), "blur", sigma=2).getpoint(14, 20)[0]


def test_blurring_keeps_the_colour_of_what_is_transparent_out() -> None:
    image = made(plain(40, 40, [*RED, 255]).insert(plain(20, 40, [0, 255, 0, 0]), 20, 0), "blur", sigma=3)
    red, green, _, alpha = image.getpoint(18, 20)
    assert near([round(red), round(green)], RED[:2], by=3)
    assert 100 < alpha < 220


def test_greyscale_makes_every_band_the_same_and_keeps_brightness_and_alpha(pictures: SimpleNamespace) -> None:
    image = made(pictures.quadrants().bandjoin(77), "greyscale")
    for across, down in ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8)):
        red, green, blue, alpha = at(image, across, down)
        assert red == green == blue
        assert alpha == 77
    assert near(at(made(plain(9, 9, [90, 90, 90]), "greyscale"), 0, 0), [90] * 3, by=1)
    lightness = [at(made(plain(1, 1, colour), "greyscale"), 0, 0)[0] for colour in (GREEN, RED, BLUE)]
    assert lightness == sorted(lightness, reverse=True)


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"brightness": 1}, [100, 50, 200]),
        ({"brightness": 1.2}, [120, 60, 240]),
        ({"brightness": 2}, [200, 100, 255]),
        ({"brightness": 0}, [0, 0, 0]),
        ({"contrast": 0}, [128, 128, 128]),
        ({"contrast": 2}, [73, 0, 255]),
        ({"saturation": 0}, [71, 71, 71]),  # 0.213 x 100 + 0.715 x 50 + 0.072 x 200
        ({"saturation": 2}, [129, 29, 255]),
        ({"brightness": 0.5, "contrast": 0, "saturation": 9}, [128, 128, 128]),
    ],
)
def test_adjusting_follows_the_css_filters(params: dict[str, float], wanted: list[int]) -> None:
    image = made(plain(3, 3, [100, 50, 200]), "adjust", **params)
    assert near(at(image, 0.5, 0.5), wanted, by=1)


def test_adjusting_keeps_alpha() -> None:
    assert at(made(plain(3, 3, [100, 50, 200, 7]), "adjust", brightness=1.2), 0, 0) == [120, 60, 240, 7]


ONE_OF_EACH: dict[str, dict[str, Any]] = {
    "orient": {},
    "resize": {"width": 4, "height": 4, "mode": "cover", "gravity": "attention"},
    "crop": {"width": 4, "height": 4, "gravity": "entropy"},
    "rotate": {"angle": 33, "background": "#00000000"},
    "flip": {"direction": "vertical"},
    "pad": {"top": 1},
    "sharpen": {},
    "blur": {"sigma": 50},
    "greyscale": {},
    "adjust": {"contrast": 2},
    "colourspace": {"space": "grey"},
    "strip": {},
}


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1)])
@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("verb", ONE_OF_EACH)
def test_the_smallest_and_the_thinnest_go_through(verb: str, bands: int, shape: tuple[int, int]) -> None:
    image = made(plain(*shape, colour=[*RED, 99][:bands]), verb, **ONE_OF_EACH[verb])
    assert image.avg() > 0


@pytest.mark.parametrize("verb", ONE_OF_EACH)
def test_a_step_leaves_the_picture_it_was_given_as_it_is(verb: str, pictures: SimpleNamespace) -> None:
    image = pictures.photo(50, 40)
    before = bytes(image.write_to_memory())
    made(image, verb, **ONE_OF_EACH[verb])
    assert bytes(image.write_to_memory()) == before
    assert not image.get_typeof("icc-profile-data")


@pytest.mark.parametrize(
    ("verb", "params"),
    [
        ("pad", {"top": 600, "left": 600}),
        ("pad", {"width": 1200, "height": 900}),
        ("rotate", {"angle": 45}),
        ("resize", {"width": 1200, "height": 900, "mode": "fill"}),
        ("resize", {"width": 1200, "height": 900, "mode": "exact"}),
        ("resize", {"width": 1200, "height": 1200, "enlarge": True}),
        ("resize", {"width": 1200, "height": 1200, "mode": "cover", "enlarge": True}),
    ],
)
def test_no_step_makes_more_pixels_than_an_image_may_have(verb: str, params: dict[str, Any]) -> None:
    image = plain(800, 800)
    with pytest.raises(AttemptFailed, match=r"^rendition-too-large$"):
        step(verb, **params).apply(Picture(image, (800, 800), most=1_000_000))


@pytest.mark.parametrize(
    ("verb", "params"),
    [("rotate", {"angle": 90}), ("blur", {"sigma": 1}), ("resize", {"width": 40, "height": 60, "mode": "exact"})],
)
def test_what_makes_no_more_pixels_is_never_too_large(verb: str, params: dict[str, Any]) -> None:
    step(verb, **params).apply(Picture(plain(80, 80), (80, 80), most=1))
