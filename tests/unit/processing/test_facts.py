"""Facts are right, comparable between sizes, and say nothing that singles a file out."""

from types import SimpleNamespace
from typing import Any

import pyvips

from mayfly.model.image import MediaType
from mayfly.processing.limits import Limits
from mayfly.processing.pipeline import Result, process


def facts_of(image: Any) -> Result:
    return process(memoryview(image.pngsave_buffer()), MediaType.PNG, (), Limits())


def plain(colour: list[int], width: int = 100, height: int = 60) -> Any:
    return (pyvips.Image.black(width, height, bands=3) + colour).cast("uchar").copy(interpretation="srgb")


def distance(one: Result, other: Result) -> int:
    """Bits in which the perceptual hashes differ."""
    return (int.from_bytes(one.phash, "big") ^ int.from_bytes(other.phash, "big")).bit_count()


def test_the_keys_are_those_documented() -> None:
    assert list(facts_of(plain([1, 2, 3])).facts) == [
        "format",
        "kib",
        "width",
        "height",
        "orientation",
        "frames",
        "alpha",
        "dominant_colour",
        "brightness",
        "sharpness",
    ]


def test_brightness_runs_from_black_to_white() -> None:
    measured = [facts_of(plain([level] * 3)).facts["brightness"] for level in (0, 128, 255)]
    assert measured == [0, 0.502, 1]


def test_green_is_brighter_than_blue() -> None:
    green, blue = (facts_of(plain(colour)).facts["brightness"] for colour in ([0, 200, 0], [0, 0, 200]))
    assert green > 3 * blue


def test_the_dominant_colour_is_that_of_the_largest_area() -> None:
    image = plain([10, 120, 230]).insert(plain([250, 250, 10], 30, 60), 70, 0)
    assert facts_of(image).facts["dominant_colour"] == "#0a78e6"


def test_what_is_transparent_is_judged_on_white() -> None:
    clear = plain([10, 10, 10]).bandjoin(0)
    facts = facts_of(clear).facts
    assert (facts["alpha"], facts["dominant_colour"], facts["brightness"]) == (True, "#ffffff", 1)


def test_a_blurred_picture_is_less_sharp(pictures: SimpleNamespace) -> None:
    image = pictures.photo(600, 400)
    sharp, soft = (facts_of(one).facts["sharpness"] for one in (image, image.gaussblur(3)))
    assert sharp > 5 * soft


def test_a_plain_picture_has_no_sharpness() -> None:
    assert facts_of(plain([90, 90, 90])).facts["sharpness"] == 0


def test_sharpness_is_comparable_between_resolutions(pictures: SimpleNamespace) -> None:
    image = pictures.photo(256, 192)
    small, large = (facts_of(one).facts["sharpness"] for one in (image, image.resize(3)))
    assert 0.6 < large / small < 1.6


def test_kib_is_rounded_up() -> None:
    assert facts_of(plain([0, 0, 0], 1, 1)).facts["kib"] == 1


def test_the_hash_of_a_ramp_is_known() -> None:
    ramp = pyvips.Image.xyz(360, 320)[0] * (255 / 360)
    grey = ramp.cast("uchar").bandjoin([ramp.cast("uchar")] * 2).copy(interpretation="srgb")
    assert facts_of(grey).phash == bytes([0xFF] * 8)
    assert facts_of(grey.fliphor()).phash == bytes(8)


def test_the_hash_of_a_plain_picture_is_zero() -> None:
    assert facts_of(plain([77, 130, 20])).phash == bytes(8)


def test_near_pictures_have_near_hashes_and_others_do_not(pictures: SimpleNamespace) -> None:
    def scene(seed: int) -> Any:
        return pictures.photo(9, 8, seed).resize(60, kernel="cubic").copy_memory()

    image = scene(1)
    here = facts_of(image)
    again = facts_of(
        pyvips.Image.new_from_buffer(image.resize(0.5).jpegsave_buffer(Q=60), "").linear(0.9, 5).cast("uchar")
    )
    assert distance(here, again) <= 6
    assert distance(here, facts_of(scene(99))) >= 16
