"""What comes out of each kind of picture: right way up, right colours, right size, nothing but pixels."""

from types import SimpleNamespace
from typing import Any

import pytest
import pyvips

from mayfly.model.image import MediaType
from mayfly.processing.limits import Limits
from mayfly.processing.pipeline import Made, Result, process
from mayfly.processing.recipe import Recipe, parse_recipes
from mayfly.processing.stage import Stage

EVERY_KIND = ("jpeg", "png", "webp", "gif", "tiff", "avif", "heic")
TURNS: dict[int, tuple[str, ...]] = {
    # How an upright picture has to be laid down so that EXIF orientation n stands it up again.
    1: (),
    2: ("fliphor",),
    3: ("rot180",),
    4: ("flipver",),
    5: ("rot90", "fliphor"),
    6: ("rot270",),
    7: ("rot270", "fliphor"),
    8: ("rot90",),
}


def run(data: bytes, kind: str, recipes: tuple[Recipe, ...], limits: Limits | None = None) -> Result:
    return process(memoryview(data), MediaType(f"image/{kind}"), stages_of(recipes), limits or Limits())


def stages_of(recipes: tuple[Recipe, ...]) -> list[Stage]:
    return [stage for recipe in recipes for stage in recipe.stages]


def by_name(result: Result) -> dict[str, Made]:
    return {made.name: made for made in result.renditions}


def corners(image: Any) -> list[list[float]]:
    """The colours in the middle of each quarter: top left, top right, bottom left, bottom right."""
    columns, rows = (image.width // 4, image.width * 3 // 4), (image.height // 4, image.height * 3 // 4)
    return [image.getpoint(column, row)[:3] for row in rows for column in columns]


def near(found: list[float], wanted: list[int], by: float = 16) -> bool:
    return all(abs(one - other) <= by for one, other in zip(found, wanted, strict=True))


def assert_upright(image: Any, pictures: SimpleNamespace) -> None:
    wanted = [pictures.red, pictures.green, pictures.blue, pictures.white]
    found = corners(image)
    assert all(near(one, other) for one, other in zip(found, wanted, strict=True)), found


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_type_goes_in(kind: str, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    result = run(pictures.encoded(pictures.quadrants(), kind), kind, recipes)
    assert result.facts["format"] == kind
    for made in result.renditions:
        assert_upright(pictures.decoded(made.data), pictures)


def test_the_renditions_have_the_sizes_and_types_promised(
    pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    made = run(pictures.encoded(pictures.photo(3000, 2000), "jpeg"), "jpeg", recipes).renditions
    assert [(one.name, one.media_type, one.width, one.height) for one in made] == [
        ("thumb", "image/webp", 256, 171),
        ("preview", "image/jpeg", 1024, 683),
        ("large", "image/jpeg", 2048, 1365),
    ]
    assert [(pictures.decoded(one.data).width, pictures.decoded(one.data).height) for one in made] == [
        (256, 171),
        (1024, 683),
        (2048, 1365),
    ]


def test_nothing_is_enlarged(pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    made = run(pictures.encoded(pictures.quadrants(30, 20), "png"), "png", recipes).renditions
    assert {(one.width, one.height) for one in made} == {(30, 20)}


@pytest.mark.parametrize(("kind", "width"), [("jpeg", 300), ("png", 304), ("webp", 304)])
def test_slack_is_for_jpegs_alone(kind: str, width: int, pictures: SimpleNamespace) -> None:
    box = {"resize": {"width": 304, "height": 304, "slack": 3}}
    recipes = parse_recipes({"large": {"steps": ["orient", box, {"encode": {"format": "png"}}]}})
    [made] = run(pictures.encoded(pictures.quadrants(600, 400), kind), kind, recipes).renditions
    assert made.width == width


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 9000)])
def test_extreme_shapes_keep_at_least_one_pixel_a_side(
    shape: tuple[int, int], pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    image = (pyvips.Image.black(*shape, bands=3) + pictures.red).cast("uchar").copy(interpretation="srgb")
    for made in run(image.jpegsave_buffer(), "jpeg", recipes).renditions:
        assert near(pictures.decoded(made.data).getpoint(0, 0)[:3], pictures.red)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_stood_upright(
    orientation: int, kind: str, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    image = pictures.quadrants(480, 320)
    for turn in TURNS[orientation]:
        image = getattr(image, turn)()
    result = run(pictures.encoded(pictures.with_orientation(image, orientation), kind), kind, recipes)
    assert (result.facts["orientation"], result.facts["width"], result.facts["height"]) == (orientation, 480, 320)
    for made in result.renditions:
        assert (made.width > made.height) == (pictures.decoded(made.data).width > pictures.decoded(made.data).height)
        assert_upright(pictures.decoded(made.data), pictures)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_avif_made_of_a_turned_photo_is_not_turned_once_more_by_its_reader(
    orientation: int, pictures: SimpleNamespace
) -> None:
    image = pictures.quadrants(480, 320)
    for turn in TURNS[orientation]:
        image = getattr(image, turn)()
    recipes = parse_recipes({"avif": {"steps": ["orient", {"encode": {"format": "avif"}}]}})
    data = pictures.encoded(pictures.with_orientation(image, orientation), "jpeg")
    (made,) = run(data, "jpeg", recipes).renditions
    read = pictures.decoded(made.data)
    assert (read.width, read.height) == (made.width, made.height) == (480, 320)
    assert_upright(read, pictures)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_an_avif_that_turns_itself_is_not_turned_twice(
    orientation: int, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    image = pictures.quadrants()
    for turn in TURNS[orientation]:
        image = getattr(image, turn)()
    data = pictures.encoded(pictures.with_orientation(image, orientation), "avif")
    assert b"irot" in data
    result = run(data, "avif", recipes)
    assert (result.facts["width"], result.facts["height"]) == (192, 128)
    assert_upright(pictures.decoded(result.renditions[0].data), pictures)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_heic_that_turns_itself_is_not_turned_twice(
    turn: int, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    image = pictures.quadrants()
    for _ in range(turn):
        image = image.rot90()
    result = run(pictures.heic(image, turn=turn), "heic", recipes)
    assert (result.facts["width"], result.facts["height"]) == (192, 128)
    assert_upright(pictures.decoded(result.renditions[0].data), pictures)


@pytest.mark.parametrize("shape", [(4096, 2731), (4095, 2731), (8191, 300), (2049, 1025), (2100, 1001)])
def test_shrinking_while_decoding_leaves_size_and_edges_right(
    shape: tuple[int, int], pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    image = pictures.quadrants(64, 64).resize(shape[0] / 64, vscale=shape[1] / 64, kernel="nearest")
    image = image.embed(0, 0, *shape, extend="copy")
    large = run(image.jpegsave_buffer(Q=90), "jpeg", recipes).renditions[2]
    assert (large.width, large.height) == (2048, round(shape[1] * 2048 / shape[0]))
    pixels = pictures.decoded(large.data)
    assert near(pixels.getpoint(large.width - 1, large.height - 1), pictures.white)


def test_a_thin_picture_is_shrunk_whole(pictures: SimpleNamespace) -> None:
    # Four rows black, three white: shrunk by four as it is decoded, the last three would be cut off.
    image = pyvips.Image.black(2000, 7, bands=3).insert(pyvips.Image.black(2000, 3, bands=3) + 255, 0, 4).cast("uchar")
    recipes = parse_recipes(
        {"thumb": {"steps": [{"resize": {"width": 80, "height": 80}}, {"encode": {"format": "png"}}]}}
    )
    data = image.copy(interpretation="srgb").jpegsave_buffer(Q=95, subsample_mode="off")
    (made,) = run(data, "jpeg", recipes).renditions
    assert (made.width, made.height) == (80, 1)
    assert pictures.decoded(made.data).avg() == pytest.approx(255 * 3 / 7, abs=12)


def test_without_the_orient_step_the_picture_stays_as_stored(pictures: SimpleNamespace) -> None:
    lying = pictures.with_orientation(pictures.quadrants(120, 80).rot270(), 6)
    raw = {
        "raw": {"steps": [{"encode": {"format": "png"}}]},
        "up": {"steps": ["orient", {"encode": {"format": "png"}}]},
    }
    made = by_name(run(pictures.encoded(lying, "png"), "png", parse_recipes(raw)))
    assert ((made["raw"].width, made["raw"].height), (made["up"].width, made["up"].height)) == ((80, 120), (120, 80))
    assert_upright(pictures.decoded(made["up"].data), pictures)


def test_orienting_after_resizing_gives_the_box_to_the_lying_picture(pictures: SimpleNamespace) -> None:
    lying = pictures.with_orientation(pictures.quadrants(120, 80).rot270(), 6)
    box = {"resize": {"width": 40, "height": 1000}}
    recipes = parse_recipes({"a": {"steps": [box, "orient", {"encode": {"format": "png"}}]}})
    (made,) = run(pictures.encoded(lying, "png"), "png", recipes).renditions
    assert (made.width, made.height) == (60, 40)


def test_a_second_resize_works_on_the_first_ones_result(pictures: SimpleNamespace) -> None:
    boxes = [{"resize": {"width": side, "height": side}} for side in (100, 50)]
    recipes = parse_recipes({"a": {"steps": ["orient", *boxes, {"encode": {"format": "png"}}]}})
    (made,) = run(pictures.encoded(pictures.quadrants(400, 200), "png"), "png", recipes).renditions
    assert (made.width, made.height) == (50, 25)


def test_transparency_turns_jpeg_renditions_into_webp(pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    image = pictures.quadrants()
    half = (pyvips.Image.black(60, 80) + 255).cast("uchar").embed(0, 0, 120, 80)
    result = run(image.bandjoin(half).pngsave_buffer(), "png", recipes)
    assert result.facts["alpha"] is True
    for made in result.renditions:
        pixels = pictures.decoded(made.data)
        assert made.media_type == "image/webp"
        assert (pixels.getpoint(30, 40)[3], pixels.getpoint(90, 40)[3]) == (255, 0)
        assert near(pixels.getpoint(30, 20)[:3], pictures.red)


def test_an_alpha_that_hides_nothing_is_no_transparency(pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    result = run(pictures.quadrants().addalpha().pngsave_buffer(), "png", recipes)
    assert result.facts["alpha"] is False
    assert [made.media_type for made in result.renditions] == ["image/webp", "image/jpeg", "image/jpeg"]


def test_cmyk_becomes_srgb(pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    cmyk = pictures.quadrants(400, 300).icc_export(output_profile="cmyk")
    assert cmyk.bands == 4
    for made in run(cmyk.jpegsave_buffer(Q=95), "jpeg", recipes).renditions:
        pixels = pictures.decoded(made.data)
        assert pixels.bands == 3
        # The printable gamut is smaller: the hues hold, not the values.
        red, green, blue, white = corners(pixels)
        assert red[0] > red[1] + 60
        assert green[1] > green[0] + 40
        assert blue[2] > blue[0] + 40
        assert min(white) > 225


def test_an_embedded_profile_is_applied(pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    wide = pictures.quadrants(400, 300).icc_transform("p3", input_profile="srgb")
    assert not near(wide.getpoint(100, 75), pictures.red, by=10)
    result = run(wide.jpegsave_buffer(Q=95, profile="p3"), "jpeg", recipes)
    for made in result.renditions:
        pixels = pictures.decoded(made.data)
        assert near(corners(pixels)[0], pictures.red, by=10)
        assert not pixels.get_typeof("icc-profile-data")


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_become_eight(kind: str, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    deep = (pictures.quadrants().cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16")
    for made in run(pictures.encoded(deep, kind), kind, recipes).renditions:
        assert_upright(pictures.decoded(made.data), pictures)


def test_ten_bit_avif_becomes_eight(pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    deep = (pictures.quadrants().cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16")
    data = deep.heifsave_buffer(compression="av1", bitdepth=10, effort=0, Q=90)
    for made in run(data, "avif", recipes).renditions:
        assert_upright(pictures.decoded(made.data), pictures)


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "webp"])
def test_grey_stays_grey(kind: str, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    grey = (pyvips.Image.black(64, 64) + 90).cast("uchar").copy(interpretation="b-w")
    result = run(pictures.encoded(grey, kind), kind, recipes)
    assert result.facts["dominant_colour"] in ("#5a5a5a", "#595959", "#5b5b5b")
    assert near(pictures.decoded(result.renditions[2].data).getpoint(9, 9)[:3], [90, 90, 90], by=3)


def test_a_palette_is_resolved(pictures: SimpleNamespace, recipes: tuple[Recipe, ...]) -> None:
    data = pictures.quadrants().pngsave_buffer(palette=True, bitdepth=2)
    assert_upright(pictures.decoded(run(data, "png", recipes).renditions[1].data), pictures)


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_of_an_animation_the_first_frame_is_shown(
    kind: str, pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    result = run(pictures.animation(kind), kind, recipes)
    assert (result.facts["frames"], result.facts["width"], result.facts["height"]) == (3, 40, 30)
    for made in result.renditions:
        pixels = pictures.decoded(made.data)
        assert (pixels.width, pixels.height) == (40, 30)
        assert near(pixels.getpoint(20, 15)[:3], pictures.red)


def test_the_first_page_of_a_tiff_is_shown_and_all_are_counted(
    pictures: SimpleNamespace, recipes: tuple[Recipe, ...]
) -> None:
    result = run(pictures.animation("tiff"), "tiff", recipes)
    assert (result.facts["frames"], result.facts["height"]) == (3, 30)
    assert result.facts["dominant_colour"] == "#dc141e"


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "avif"])
def test_no_metadata_is_left(kind: str, pictures: SimpleNamespace) -> None:
    image = pictures.quadrants().copy()
    for field in ("exif-ifd0-Artist", "exif-ifd0-Make", "exif-ifd3-GPSLatitude"):
        image.set_type(pyvips.GValue.gstr_type, field, "SECRETNAME (SECRETNAME, ASCII, 11 components, 11 bytes)")
    image.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x:xmpmeta>SECRETNAME</x:xmpmeta>")
    image.set_type(pyvips.GValue.blob_type, "iptc-data", b"SECRETNAME")
    data = pictures.encoded(image, kind)
    assert b"SECRETNAME" in data
    raw = {name: {"steps": ["orient", {"encode": {"format": name}}]} for name in ("jpeg", "png", "webp", "avif")}
    for made in run(data, kind, parse_recipes(raw)).renditions:
        assert b"SECRETNAME" not in made.data
        kept = [field for field in pictures.decoded(made.data).get_fields() if "exif" in field or "xmp" in field]
        # libvips's AVIF writer adds a block of resolution and size of its own.
        assert not [field for field in kept if "Artist" in field or "Make" in field or "GPS" in field]
        assert made.name == "avif" or not kept


def test_a_rendition_does_not_depend_on_which_others_are_made(pictures: SimpleNamespace) -> None:
    data = pictures.encoded(pictures.photo(1811, 1207), "jpeg")

    def sizes(*sides: int) -> list[tuple[int, int]]:
        raw = {
            f"r{side}": {
                "steps": ["orient", {"resize": {"width": side, "height": side}}, {"encode": {"format": "png"}}]
            }
            for side in sides
        }
        return [(made.width, made.height) for made in run(data, "jpeg", parse_recipes(raw)).renditions]

    assert sizes(100, 333, 1000) == sizes(100) + sizes(333) + sizes(1000)


def test_facts_are_made_even_without_renditions(pictures: SimpleNamespace) -> None:
    result = run(pictures.encoded(pictures.quadrants(), "png"), "png", ())
    assert result.renditions == ()
    assert result.facts["width"] == 192


def test_too_large_a_side_for_the_format_is_our_fault_not_the_images(pictures: SimpleNamespace) -> None:
    from mayfly.model.errors import AttemptFailed

    image = (pyvips.Image.black(17_000, 2, bands=3)).copy(interpretation="srgb")
    recipes = parse_recipes({"whole": {"steps": [{"encode": {"format": "webp"}}]}})
    with pytest.raises(AttemptFailed, match=r"^encode-failed$"):
        run(image.pngsave_buffer(), "png", recipes)
