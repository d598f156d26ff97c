"""A mark: read by the parent, bounded, laid over the picture by the worker."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pyvips

from mayfly.model.errors import AttemptFailed, Misconfigured
from mayfly.processing.decode import open_mark
from mayfly.processing.limits import Limits
from mayfly.processing.picture import Picture
from mayfly.processing.recipe import Recipe, parse_recipes, recipes_to_json
from mayfly.processing.sandbox import Sandbox
from mayfly.processing.steps import Watermark
from mayfly.processing.steps.step import Attachment
from mayfly.processing.steps.watermark import MOST_BYTES
from mayfly.settings import Settings

BLACK = [0, 0, 0]


def png(width: int, height: int, colour: list[int]) -> bytes:
    image = (pyvips.Image.black(width, height, bands=len(colour)) + colour).cast("uchar")
    data: bytes = image.copy(interpretation="srgb").pngsave_buffer()
    return data


@pytest.fixture
def logo(tmp_path: Path) -> Path:
    path = tmp_path / "logo.png"
    path.write_bytes(png(40, 20, BLACK))
    return path


def recipe(file: Path | str, **params: Any) -> Recipe:
    steps = ["orient", {"watermark": {"file": str(file), **params}}, {"encode": {"format": "png"}}]
    (parsed,) = parse_recipes({"marked": {"steps": steps}})
    return parsed


def faults(file: Path | str, **params: Any) -> tuple[str, ...]:
    with pytest.raises(Misconfigured) as caught:
        recipe(file, **params)
    return caught.value.faults


def marked(image: Any, mark: bytes, **params: Any) -> Any:
    picture = Watermark(Attachment("logo.png", mark), **params).apply(
        Picture(image, (image.width, image.height), open_mark=open_mark)
    )
    assert (picture.image.format, picture.image.bands) == ("uchar", image.bands)
    return picture.image


def dark(image: Any) -> tuple[int, int, int, int]:
    """Left, top, width and height of what is black."""
    left, top, width, height = image.flatten().colourspace("b-w").find_trim(threshold=40, background=[250])
    return left, top, width, height


def white(width: int = 400, height: int = 200, bands: int = 3) -> Any:
    image = (pyvips.Image.black(width, height, bands=bands) + [250, 250, 250, 255][:bands]).cast("uchar")
    return image.copy(interpretation="srgb").copy_memory()


@pytest.mark.parametrize(
    ("position", "corner"),
    [("north-west", (20, 20)), ("south-east", (280, 130)), ("centre", (150, 75)), ("north", (150, 20))],
)
def test_it_stands_where_it_is_told_at_its_share_of_the_width(position: str, corner: tuple[int, int]) -> None:
    found = dark(marked(white(), png(40, 20, BLACK), position=position, scale=0.25, margin=0.1))
    assert found == (*corner, 100, 50)


def test_it_is_kept_within_the_margins_of_any_picture() -> None:
    assert dark(marked(white(400, 40), png(40, 40, BLACK), scale=1, margin=0.25)) == (370, 10, 20, 20)
    for shape in ((1, 1), (1, 900), (900, 1), (3, 2)):
        image = marked(white(*shape), png(40, 20, BLACK), scale=1, margin=0.45)
        assert (image.width, image.height) == shape


def test_opacity_lets_the_picture_through() -> None:
    image = marked(white(), png(40, 20, BLACK), position="centre", opacity=0.4)
    assert image.getpoint(200, 100) == pytest.approx([150] * 3, abs=2)
    assert marked(white(), png(40, 20, BLACK), opacity=0).min() == 250


def test_the_marks_own_transparency_counts() -> None:
    image = marked(white(), png(40, 20, [0, 0, 0, 128]), position="centre", opacity=0.5)
    assert image.getpoint(200, 100) == pytest.approx([187] * 3, abs=3)


def test_on_transparency_it_is_seen() -> None:
    clear = white(bands=4).copy_memory().insert(pyvips.Image.black(400, 200, bands=4), 0, 0).copy(interpretation="srgb")
    image = marked(clear.copy_memory(), png(40, 20, [200, 10, 10]), position="centre")
    assert image.getpoint(200, 100) == [200, 10, 10, 255]
    assert image.getpoint(2, 2)[3] == 0


def test_a_grey_mark_of_sixteen_bits_is_a_mark() -> None:
    grey = (pyvips.Image.black(40, 20) + 30_000).cast("ushort").copy(interpretation="grey16").pngsave_buffer()
    assert marked(white(), grey, position="centre").getpoint(200, 100) == pytest.approx([117] * 3, abs=2)


def test_the_picture_it_is_laid_on_stays_as_it_is() -> None:
    image = white()
    marked(image, png(40, 20, BLACK))
    assert image.min() == 250


def test_it_reaches_the_cage_once_for_all_renditions(logo: Path) -> None:
    steps = [{"watermark": {"file": str(logo), "position": "centre"}}, {"encode": {"format": "png"}}]
    recipes = parse_recipes({name: {"steps": steps} for name in ("one", "two")})
    data = white().pngsave_buffer()
    with Sandbox(Limits(), recipes) as sandbox, sandbox.desk(len(data)) as body:
        body.view[: len(data)] = data
        with sandbox.run(body, "image/png") as outcome:
            for made in outcome.pictures:
                assert pyvips.Image.new_from_buffer(bytes(made.data), "").getpoint(200, 100) == BLACK


def test_the_largest_mark_that_is_taken_reaches_the_cage(tmp_path: Path) -> None:
    noise = pyvips.Image.gaussnoise(500, 340, seed=1).bandjoin(pyvips.Image.gaussnoise(500, 340, seed=2))
    data = noise.bandjoin(noise[0]).cast("uchar").copy(interpretation="srgb").pngsave_buffer(compression=0)
    assert 0.9 * MOST_BYTES < len(data) <= MOST_BYTES
    (tmp_path / "large.png").write_bytes(data)
    picture = white().pngsave_buffer()
    recipes = (recipe(tmp_path / "large.png"),)
    with Sandbox(Limits(), recipes) as sandbox, sandbox.desk(len(picture)) as body:
        body.view[: len(picture)] = picture
        sandbox.run(body, "image/png").close()


def test_the_hash_holds_its_content_and_not_its_path(logo: Path, tmp_path: Path) -> None:
    first = recipe(logo)
    (tmp_path / "renamed.png").write_bytes(logo.read_bytes())
    assert recipe(tmp_path / "renamed.png").hash == first.hash
    logo.write_bytes(png(40, 21, BLACK))
    assert recipe(logo).hash != first.hash


def test_as_json_it_is_pinned_to_its_content(logo: Path) -> None:
    written = recipes_to_json([recipe(logo)])
    assert parse_recipes(written) == (recipe(logo),)
    logo.write_bytes(png(40, 21, BLACK))
    with pytest.raises(Misconfigured, match=r"sha256: .* is another file by now"):
        parse_recipes(written)


def test_a_fault_of_the_file_is_told_by_its_key(tmp_path: Path, logo: Path) -> None:
    key = "renditions.marked.steps[1].watermark.file: "
    cut, large, wide, text = (tmp_path / name for name in ("cut.png", "large.png", "wide.png", "text.png"))
    cut.write_bytes(logo.read_bytes()[:-9])
    large.write_bytes(bytes(MOST_BYTES + 1))
    wide.write_bytes(png(4000, 1001, BLACK))
    text.write_bytes(b"hello")
    told = {path: faults(path) for path in (cut, large, wide, text, tmp_path / "none.png", tmp_path, "a\0b", "")}
    assert all(fault.startswith(key) for found in told.values() for fault in found)
    assert "cut off" in told[cut][0]
    assert "larger than 512 KiB" in told[large][0]
    assert "4004000 pixels" in told[wide][0]
    assert "must be a PNG" in told[text][0]
    assert "No such file" in told[tmp_path / "none.png"][0]
    assert "Is a directory" in told[tmp_path][0]


def test_all_files_together_are_bounded(tmp_path: Path) -> None:
    raw = {}
    for number in range(9):
        path = tmp_path / f"{number}.png"
        path.write_bytes(png(2, 2, BLACK)[:-12] + large_chunk(number) + png(2, 2, BLACK)[-12:])
        raw[f"r{number}"] = {"steps": [{"watermark": {"file": str(path)}}, {"encode": {"format": "png"}}]}
    with pytest.raises(Misconfigured, match="4096 KiB together"):
        parse_recipes(raw)


def large_chunk(number: int) -> bytes:
    body = bytes([number]) * (500 * 1024)
    return len(body).to_bytes(4, "big") + b"teXt" + body + bytes(4)


def test_a_mark_that_cannot_be_decoded_is_no_fault_of_the_image() -> None:
    with pytest.raises(AttemptFailed, match=r"^watermark-unreadable$"):
        marked(white(), png(40, 20, BLACK)[:33] + bytes(12) + b"\0\0\0\0IEND\xaeB`\x82")


def test_in_the_settings_file_it_is_relative_to_that_file(
    tmp_path: Path, logo: Path, monkeypatch: pytest.MonkeyPatch, pictures: SimpleNamespace
) -> None:
    monkeypatch.chdir("/")
    config = tmp_path / "mayfly.toml"
    config.write_text('[renditions.a]\nsteps = [{watermark = {file = "logo.png"}}, {encode = {format = "png"}}]\n')
    (found,) = Settings.load(config, {}, {}).renditions
    assert found.hash == parse_recipes(found_at(logo))[0].hash


def found_at(path: Path) -> dict[str, Any]:
    return {"a": {"steps": [{"watermark": {"file": str(path)}}, {"encode": {"format": "png"}}]}}
