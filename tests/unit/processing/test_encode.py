"""What the files are: their format, their colour space, their profile, and what is not in them."""

from types import SimpleNamespace
from typing import Any

import pytest
import pyvips

from mayfly.model.errors import Misconfigured
from mayfly.model.image import MediaType
from mayfly.processing.limits import Limits
from mayfly.processing.pipeline import Made, process
from mayfly.processing.recipe import parse_recipes

RED = [220, 20, 30]


def made(data: bytes, *steps: Any, kind: str = "png") -> Made:
    (recipe,) = parse_recipes({"made": {"steps": list(steps)}})
    return process(memoryview(data), MediaType(f"image/{kind}"), recipe.stages, Limits()).renditions[0]


def opened(one: Made) -> Any:
    return pyvips.Image.new_from_buffer(one.data, "")


@pytest.fixture(scope="module")
def red() -> bytes:
    image = (pyvips.Image.black(64, 48, bands=3) + RED).cast("uchar").copy(interpretation="srgb")
    return bytes(image.pngsave_buffer())


@pytest.fixture(scope="module")
def clear() -> bytes:
    image = pyvips.Image.black(64, 48, bands=4).linear(1, [*RED, 0]).cast("uchar").copy(interpretation="srgb")
    return bytes(image.pngsave_buffer())


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "avif"])
def test_display_p3_looks_the_same_and_says_what_it_is(kind: str, red: bytes) -> None:
    image = opened(made(red, {"colourspace": {"space": "display-p3"}}, {"encode": {"format": kind, **quality(kind)}}))
    assert b"P3" in image.get("icc-profile-data").replace(b"\0", b"")
    assert image.getpoint(9, 9)[0] < 212  # a number smaller than sRGB's, for a wider space
    back = image.icc_transform("srgb", embedded=True)
    assert back.getpoint(9, 9)[:3] == pytest.approx(RED, abs=4)


def quality(kind: str) -> dict[str, int]:
    return {} if kind == "png" else {"quality": 95}


@pytest.mark.parametrize(("kind", "bands"), [("jpeg", 1), ("png", 1), ("webp", 3), ("avif", 3)])
def test_grey_has_one_band_where_the_format_can(kind: str, bands: int, red: bytes) -> None:
    image = opened(made(red, {"colourspace": {"space": "grey"}}, {"encode": {"format": kind, **quality(kind)}}))
    assert image.bands == bands
    assert image.getpoint(9, 9) == pytest.approx([image.getpoint(9, 9)[0]] * bands, abs=1)


def test_cmyk_is_written_as_jpeg_with_its_profile_and_no_transparency(red: bytes, clear: bytes) -> None:
    steps = ({"colourspace": {"space": "cmyk"}}, {"encode": {"format": "jpeg", "quality": 95}})
    image = opened(made(red, *steps))
    assert (image.interpretation, image.bands) == ("cmyk", 4)
    back = image.icc_transform("srgb", embedded=True).getpoint(9, 9)
    assert back[0] > back[1] + 100
    laid = made(clear, *steps)
    assert laid.media_type == "image/jpeg"
    assert opened(laid).getpoint(9, 9) == pytest.approx([0] * 4, abs=6)  # no ink


@pytest.mark.parametrize("kind", ["png", "webp", "avif"])
def test_cmyk_in_another_format_is_a_fault_of_the_settings(kind: str) -> None:
    steps = [{"colourspace": {"space": "cmyk"}}, {"encode": {"format": kind}}]
    with pytest.raises(Misconfigured, match=r"renditions\.made\.steps\[1\]\.encode\.format: must be \"jpeg\""):
        parse_recipes({"made": {"steps": steps}})


def test_an_srgb_profile_is_there_if_it_is_asked_for(red: bytes) -> None:
    for kind in ("jpeg", "png", "webp", "avif"):
        with_profile = opened(made(red, {"colourspace": {"space": "srgb", "profile": True}}, encode(kind)))
        assert b"sRGB" in with_profile.get("icc-profile-data").replace(b"\0", b"")
        assert not opened(made(red, {"colourspace": {"space": "srgb"}}, encode(kind))).get_typeof("icc-profile-data")


def encode(kind: str, **params: Any) -> dict[str, Any]:
    return {"encode": {"format": kind, **params}}


def test_strip_takes_back_what_colourspace_asked_for(red: bytes) -> None:
    image = opened(made(red, {"colourspace": {"space": "display-p3"}}, "strip", encode("png")))
    assert not image.get_typeof("icc-profile-data")
    assert image.getpoint(9, 9) == RED


@pytest.mark.parametrize("space", ["srgb", "display-p3", "grey", "cmyk"])
def test_no_colour_space_lets_metadata_through(space: str, pictures: SimpleNamespace) -> None:
    image = pictures.quadrants().copy()
    for field in ("exif-ifd0-Artist", "exif-ifd3-GPSLatitude"):
        image.set_type(pyvips.GValue.gstr_type, field, "SECRETNAME (SECRETNAME, ASCII, 11 components, 11 bytes)")
    image.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x:xmpmeta>SECRETNAME</x:xmpmeta>")
    image.set_type(pyvips.GValue.blob_type, "iptc-data", b"SECRETNAME")
    data = image.jpegsave_buffer()
    assert b"SECRETNAME" in data
    profile = {"profile": True} if space == "srgb" else {}
    rendition = made(data, {"colourspace": {"space": space, **profile}}, encode("jpeg"), kind="jpeg")
    assert b"SECRETNAME" not in rendition.data
    assert not [field for field in opened(rendition).get_fields() if "exif" in field or "xmp" in field]


def test_lossless_webp_gives_every_pixel_back(pictures: SimpleNamespace) -> None:
    photo = pictures.photo(80, 60)
    kept = opened(made(photo.pngsave_buffer(), encode("webp", lossless=True)))
    assert (kept == photo).min() == 255
    assert (opened(made(photo.pngsave_buffer(), encode("webp", quality=50))) == photo).min() == 0


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_progressive_files_are_interlaced(kind: str, red: bytes) -> None:
    assert opened(made(red, encode(kind, progressive=True))).get_typeof("interlaced")
    assert not opened(made(red, encode(kind))).get_typeof("interlaced")


@pytest.mark.parametrize("kind", ["png", "webp", "avif"])
def test_effort_makes_files_smaller(kind: str, pictures: SimpleNamespace) -> None:
    data = pictures.photo(200, 160).pngsave_buffer()
    least, most = (len(made(data, encode(kind, effort=effort)).data) for effort in (0, 6))
    assert most < least


def test_quality_makes_files_larger(pictures: SimpleNamespace) -> None:
    data = pictures.photo(200, 160).pngsave_buffer()
    for kind in ("jpeg", "webp", "avif"):
        assert len(made(data, encode(kind, quality=30)).data) < len(made(data, encode(kind, quality=90)).data)


def test_what_replaces_jpeg_for_transparency_is_written_with_its_own_defaults(clear: bytes) -> None:
    for kind in ("webp", "png", "avif"):
        one = made(clear, encode("jpeg", progressive=True, alpha_format=kind))
        assert one.media_type == f"image/{kind}"
        assert opened(one).getpoint(9, 9)[3] == 0


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"format": "jpeg", "effort": 3}, "effort: is not a parameter here"),
        ({"format": "webp", "effort": 7}, "effort: must be a whole number from 0 to 6; got 7"),
        ({"format": "webp", "lossless": True, "quality": 80}, "quality: is not a parameter here"),
        ({"format": "webp", "lossless": "yes"}, "lossless: must be true or false; got 'yes'"),
        ({"format": "webp", "progressive": True}, "progressive: is not a parameter here"),
        ({"format": "png", "quality": 80}, "quality: is not a parameter here"),
        ({"format": "jpeg", "lossless": True}, "lossless: is not a parameter here"),
    ],
)
def test_a_parameter_of_another_format_is_a_fault(table: dict[str, Any], fault: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse_recipes({"made": {"steps": [{"encode": table}]}})
    assert caught.value.faults[0].startswith(f"renditions.made.steps[0].encode.{fault}")
