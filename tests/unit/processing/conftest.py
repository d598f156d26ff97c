"""Pictures made for these tests, by libvips and by hand."""

import struct
import zlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import pyvips

from mayfly.processing.limits import Limits
from mayfly.processing.recipe import DEFAULT_RENDITIONS, Recipe, parse_recipes
from mayfly.processing.sandbox import Sandbox
from support.heic import heic

RED, GREEN, BLUE, WHITE = [220, 20, 30], [20, 200, 40], [30, 40, 210], [250, 250, 250]


def quadrants(width: int = 192, height: int = 128) -> Any:
    """Red and green above blue and white."""

    def patch(colour: list[int]) -> Any:
        return (pyvips.Image.black(width // 2, height // 2, bands=3) + colour).cast("uchar")

    rows = [patch(RED), patch(GREEN), patch(BLUE), patch(WHITE)]
    return pyvips.Image.arrayjoin(rows, across=2).copy(interpretation="srgb").copy_memory()


def photo(width: int = 320, height: int = 256, seed: int = 7) -> Any:
    """Soft noise in colour: it compresses about as a photo does."""
    bands = [
        pyvips.Image.gaussnoise(width, height, mean=128, sigma=60, seed=seed + band).gaussblur(2).cast("uchar")
        for band in range(3)
    ]
    return bands[0].bandjoin(bands[1:]).copy(interpretation="srgb").copy_memory()


def with_orientation(image: Any, orientation: int) -> Any:
    tagged = image.copy()
    tagged.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return tagged


WRITERS: dict[str, Callable[[Any], bytes]] = {
    "jpeg": lambda image: image.jpegsave_buffer(Q=92),
    "png": lambda image: image.pngsave_buffer(),
    "webp": lambda image: image.webpsave_buffer(Q=92),
    "gif": lambda image: image.gifsave_buffer(),
    "tiff": lambda image: image.tiffsave_buffer(),
    "avif": lambda image: image.heifsave_buffer(compression="av1", Q=80, effort=0),
    "heic": heic,
}


def encoded(image: Any, kind: str) -> bytes:
    return WRITERS[kind](image)


def animation(kind: str, frames: int = 3) -> bytes:
    """Frames of one colour each, red first."""
    colours = [RED, GREEN, BLUE] * frames
    pages = [(pyvips.Image.black(40, 30, bands=3) + colour).cast("uchar") for colour in colours[:frames]]
    film = pyvips.Image.arrayjoin(pages, across=1).copy(interpretation="srgb")
    film.set_type(pyvips.GValue.gint_type, "page-height", 30)
    data: bytes = getattr(film, f"{kind}save_buffer")()
    return data


def gif_of_frames(count: int, width: int = 2, height: int = 2) -> bytes:
    """A GIF of `count` frames of 16 bytes each; only those of 2 x 2 pixels are complete."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x03\x84\x6f\x05\x00"
    return screen + frame * count + b"\x3b"


def gif_of_size(width: int, height: int) -> bytes:
    """A GIF that announces a size and holds next to nothing."""
    return gif_of_frames(1, width, height)


def png_of_size(width: int, height: int, *, interlaced: bool = False) -> bytes:
    """A PNG that announces a size, with a little of zeros behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, int(interlaced))
    pixels = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def decoded(data: bytes) -> Any:
    """A rendition's pixels, whatever its type."""
    return pyvips.Image.new_from_buffer(data, "").copy_memory()


@pytest.fixture(scope="session")
def pictures() -> SimpleNamespace:
    makers = (
        heic,
        quadrants,
        photo,
        with_orientation,
        encoded,
        animation,
        gif_of_frames,
        gif_of_size,
        png_of_size,
        decoded,
    )
    colours = {"red": RED, "green": GREEN, "blue": BLUE, "white": WHITE}
    return SimpleNamespace(**{maker.__name__: maker for maker in makers}, **colours)


@pytest.fixture(scope="session")
def recipes() -> tuple[Recipe, ...]:
    return parse_recipes(DEFAULT_RENDITIONS)


@pytest.fixture(scope="module")
def sandbox(recipes: tuple[Recipe, ...]) -> Iterator[Sandbox]:
    with Sandbox(Limits(), recipes) as sandbox:
        yield sandbox
