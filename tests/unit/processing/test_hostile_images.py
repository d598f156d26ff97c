"""Broken and hostile images are rejected, quickly, and give no rendition."""

import struct
import time
from types import SimpleNamespace

import pytest

from mayfly.model.errors import Rejected
from mayfly.model.image import MediaType
from mayfly.processing.limits import Limits
from mayfly.processing.pipeline import process
from mayfly.processing.recipe import Recipe
from mayfly.processing.stage import Stage

EVERY_KIND = ("jpeg", "png", "webp", "gif", "tiff", "avif", "heic")
BROKEN = {"truncated", "corrupt"}


def stages_of(recipes: tuple[Recipe, ...]) -> list[Stage]:
    return [stage for recipe in recipes for stage in recipe.stages]


def verdict(data: bytes, kind: str, recipes: tuple[Recipe, ...], limits: Limits | None = None) -> str:
    with pytest.raises(Rejected) as caught:
        process(memoryview(data), MediaType(f"image/{kind}"), stages_of(recipes), limits or Limits())
    return str(caught.value)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_truncated_file_never_gives_a_rendition(
    kind: str, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    data = pictures.encoded(pictures.photo(), kind)
    cuts = {len(data) * part // 40 for part in range(1, 40)} | {len(data) - last for last in range(1, 30)}
    assert {verdict(data[:cut], kind, recipes) for cut in cuts} <= BROKEN


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("jpeg", {"interlace": True}),
        ("png", {"interlace": True}),
        ("webp", {"lossless": True}),
        ("tiff", {"compression": "jpeg"}),
        ("tiff", {"compression": "lzw", "tile": True}),
        ("tiff", {"compression": "deflate", "bigtiff": True}),
        ("tiff", {"pyramid": True, "tile": True}),
    ],
)
def test_nor_does_one_written_another_way(
    kind: str, options: dict[str, object], pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    data = getattr(pictures.photo(), f"{kind}save_buffer")(**options)
    process(memoryview(data), MediaType(f"image/{kind}"), stages_of(recipes), Limits())
    cuts = {len(data) * part // 16 for part in range(1, 16)} | {len(data) - last for last in (1, 2, 3, 9, 30)}
    assert {verdict(data[:cut], kind, recipes) for cut in cuts} <= BROKEN


@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_nor_does_one_whose_last_box_has_no_end_of_its_own(
    kind: str, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    data = pictures.encoded(pictures.photo(), kind)
    at = data.rindex(b"mdat") - 4
    endless = data[:at] + bytes(4) + data[at + 4 :]
    process(memoryview(endless), MediaType(f"image/{kind}"), stages_of(recipes), Limits())
    assert {verdict(endless[:-cut], kind, recipes) for cut in (1, 20, 500)} == {"truncated"}


@pytest.mark.parametrize("kind", ["gif", "webp", "tiff"])
def test_nor_does_one_cut_behind_its_first_frame(
    kind: str, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    data = pictures.animation(kind, frames=6)
    assert verdict(data[: len(data) * 2 // 3], kind, recipes) in BROKEN


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_file_cut_short_says_so(kind: str, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    data = pictures.encoded(pictures.photo(), kind)
    # libwebp does not tell the one from the other.
    assert verdict(data[: len(data) // 2], kind, recipes) == ("corrupt" if kind == "webp" else "truncated")


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("data", [b"\x00", b"hello", bytes(5000), b"\xff" * 5000, b"<svg xmlns='a'/>" * 99])
def test_what_is_no_image_is_rejected(kind: str, data: bytes, recipes: tuple[Recipe, ...]) -> None:
    assert verdict(data, kind, recipes) in BROKEN


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_type_given_is_the_type_decoded(kind: str, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    other = "png" if kind == "jpeg" else "jpeg"
    assert verdict(pictures.encoded(pictures.photo(), other), kind, recipes) in BROKEN


@pytest.mark.parametrize(
    ("kind", "bomb"),
    [
        ("png", ("png_of_size", 50_000, 50_000)),
        ("gif", ("gif_of_size", 50_000, 50_000)),
        ("png", ("png_of_size", 20_000, 20_000)),
    ],
)
def test_a_bomb_is_refused_by_its_header(
    kind: str, bomb: tuple[str, int, int], pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    maker, width, height = bomb
    options = {"interlaced": True} if width == 20_000 else {}
    data = getattr(pictures, maker)(width, height, **options)
    begun = time.process_time()
    assert verdict(data, kind, recipes) == "too-many-pixels"
    assert time.process_time() - begun < 0.5


def test_the_bound_on_pixels_is_the_limits(pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    data = pictures.encoded(pictures.quadrants(120, 80), "png")
    process(memoryview(data), MediaType.PNG, stages_of(recipes), Limits(pixels=9_600))
    assert verdict(data, "png", recipes, Limits(pixels=9_599)) == "too-many-pixels"


def test_ten_thousand_frames_are_too_many(pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    begun = time.process_time()
    assert verdict(pictures.gif_of_frames(10_000), "gif", recipes) == "too-many-frames"
    assert time.process_time() - begun < 0.5


def test_counting_frames_stops_past_the_bound(pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    data = pictures.gif_of_frames(1_000_000)
    begun = time.process_time()
    assert verdict(data, "gif", recipes) == "too-many-frames"
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize("kind", ["gif", "webp", "tiff"])
def test_as_many_frames_as_allowed_pass(kind: str, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    data = pictures.animation(kind, frames=5)
    result = process(memoryview(data), MediaType(f"image/{kind}"), stages_of(recipes), Limits(frames=5))
    assert result.facts["frames"] == 5
    assert verdict(data, kind, recipes, Limits(frames=4)) == "too-many-frames"


def test_an_animated_png_is_counted_by_what_it_announces(
    pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    data = pictures.encoded(pictures.photo(), "png")
    control = struct.pack(">I", 8) + b"acTL" + struct.pack(">III", 5_000, 0, 0)
    assert verdict(data[:33] + control + data[33:], "png", recipes) == "too-many-frames"


def test_tiff_directories_that_go_round_are_refused(recipes: tuple[Recipe, ...]) -> None:
    round_trip = b"II*\x00" + struct.pack("<I", 8) + struct.pack("<H", 0) + struct.pack("<I", 8)
    assert verdict(round_trip, "tiff", recipes) == "corrupt"


def test_tiff_pages_that_share_one_huge_table_are_refused_in_time(recipes: tuple[Recipe, ...]) -> None:
    entries, pages = 100_000, 900
    table = 8 + pages * 30
    parts = [b"II*\x00" + struct.pack("<I", 8)]
    for page in range(pages):
        following = 8 + (page + 1) * 30 if page + 1 < pages else 0
        fields = b"".join(struct.pack("<HHII", tag, 4, entries, table) for tag in (273, 279))
        parts.append(struct.pack("<H", 2) + fields + struct.pack("<I", following))
    begun = time.process_time()
    assert verdict(b"".join(parts) + bytes(entries * 4), "tiff", recipes) == "corrupt"
    assert time.process_time() - begun < 2


def test_a_picture_in_no_known_colours_is_unsupported(recipes: tuple[Recipe, ...]) -> None:
    import pyvips

    spectral = pyvips.Image.black(20, 20, bands=7).copy(interpretation="multiband").tiffsave_buffer()
    assert verdict(spectral, "tiff", recipes) == "unsupported"


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_flipped_bytes_never_do_worse_than_a_rejection(
    kind: str, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    data = bytearray(pictures.encoded(pictures.photo(160, 128), kind))
    for place in range(0, len(data), max(1, len(data) // 60)):
        changed = bytearray(data)
        changed[place] ^= 0xFF
        try:
            made = process(memoryview(bytes(changed)), MediaType(f"image/{kind}"), stages_of(recipes), Limits())
        except Rejected:
            continue
        assert all(pictures.decoded(one.data).width == one.width for one in made.renditions)
