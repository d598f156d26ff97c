"""Make the pictures of docs/reference/steps.md, and again after the page or a step has changed.

Usage: python scripts/step_pictures.py

The scene is painted from scripts/step_scene.svg. What stands on the page in `[renditions.NAME]` is made of it and
becomes docs/images/steps/NAME with the ending of its format. A test holds the page, the pictures and the code together.
"""

import tomllib
from pathlib import Path
from typing import Any

import pyvips

from mayfly.model.image import MediaType
from mayfly.processing.limits import Limits
from mayfly.processing.pipeline import process
from mayfly.processing.recipe import Recipe, parse_recipes

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "steps.md"
FOLDER = ROOT / "docs" / "images" / "steps"
SCENE = Path(__file__).with_name("step_scene.svg")
SIDE = 480
"""Pixels: the width of the scene."""

BEFORE = FOLDER / "before.webp"
LYING = FOLDER / "before-lying.webp"
LOGO = FOLDER / "logo.png"

_FENCE = "```toml\n"
_LOGO = """<svg xmlns="http://www.w3.org/2000/svg" width="240" height="80" viewBox="0 0 240 80">
<rect width="240" height="80" rx="16" fill="#10243f" fill-opacity="0.5"/>
<g fill="none" stroke="#ffffff" stroke-width="6" stroke-linecap="round" stroke-linejoin="round">
<path d="M20 62 Q40 34 64 40 T112 22" opacity="0.9"/>
<path d="M64 40 Q50 8 26 14 Q34 36 64 40 Q76 14 98 8 Q96 32 64 40"/>
<path d="M132 58 V24 L150 46 L168 24 V58 M186 24 L200 42 L214 24 M200 42 V58"/></g></svg>"""


def examples() -> dict[str, Any]:
    """The table `renditions` of all examples on the page together, in their order."""
    blocks = [block.partition("```")[0] for block in PAGE.read_text(encoding="utf-8").split(_FENCE)[1:]]
    found: dict[str, Any] = {}
    for block in blocks:
        for name, table in tomllib.loads(block)["renditions"].items():
            assert name not in found, f"two examples are called {name}"
            found[name] = table
    return found


def recipe(name: str, table: Any) -> Recipe:
    """One example, its files taken from the folder of the pictures."""
    (parsed,) = parse_recipes({name: table}, FOLDER)
    return parsed


def original(name: str) -> tuple[bytes, MediaType]:
    """What the example is made of: the scene, or for `orient` the scene as a camera held upright stores it."""
    if not name.startswith("orient"):
        return BEFORE.read_bytes(), MediaType.WEBP
    lying = pyvips.Image.new_from_file(str(LYING)).copy()
    lying.set_type(pyvips.GValue.gint_type, "orientation", 6)
    return lying.jpegsave_buffer(Q=90), MediaType.JPEG


def place(name: str, media_type: str) -> Path:
    return FOLDER / f"{name}.{media_type.removeprefix('image/').replace('jpeg', 'jpg')}"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    scene = pyvips.Image.svgload(str(SCENE)).flatten().thumbnail_image(SIDE)
    BEFORE.write_bytes(scene.webpsave_buffer(Q=90, effort=6, keep="none"))
    LYING.write_bytes(scene.rot270().webpsave_buffer(Q=90, effort=6, keep="none"))
    LOGO.write_bytes(pyvips.Image.svgload_buffer(_LOGO.encode()).pngsave_buffer(keep="none"))
    for name, table in examples().items():
        data, media_type = original(name)
        [made] = process(memoryview(data), media_type, recipe(name, table).stages, Limits()).renditions
        path = place(name, made.media_type)
        path.write_bytes(made.data)
        print(f"{path.relative_to(ROOT)}: {made.width} x {made.height}, {len(made.data)} bytes")


if __name__ == "__main__":
    main()
