"""The pictures the demonstration uploads: painted ones that look like photos, or everyone's own from a folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyvips

LARGEST_BODY = 10 * 1024 * 1024
"""What the door takes."""

CAMERA = "Imaginary Optics"
"""The camera's make in every painted photo: what must be found in no rendition and in no stolen copy."""

_EXIF = {
    "exif-ifd0-Make": CAMERA,
    "exif-ifd0-Model": "Demonstration 12",
    "exif-ifd2-DateTimeOriginal": "2026:11:23 09:30:00",
    "exif-ifd3-GPSLatitudeRef": "N",
    "exif-ifd3-GPSLatitude": "52/1 31/1 1200/100",
    "exif-ifd3-GPSLongitudeRef": "E",
    "exif-ifd3-GPSLongitude": "13/1 24/1 3600/100",
}

_HEIF_BRANDS = {b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"heix": "image/heic"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture to upload. It stays in memory: the demonstration leaves no clear copy on the disk."""

    name: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Plan:
    """A painted picture; `orientation` is its EXIF tag, None for formats that carry none here."""

    name: str
    suffix: str
    width: int
    height: int
    orientation: int | None = None


_PLANS = (
    _Plan("upright.jpg", ".jpg", 4032, 3024, 1),
    _Plan("mirrored.jpg", ".jpg", 4032, 3024, 2),
    _Plan("upside-down.jpg", ".jpg", 4032, 3024, 3),
    _Plan("transposed.jpg", ".jpg", 4032, 3024, 5),
    _Plan("held-left.jpg", ".jpg", 3024, 4032, 6),
    _Plan("held-right.jpg", ".jpg", 3024, 4032, 8),
    _Plan("cut-out.png", ".png", 1600, 1200),
    _Plan("screen.webp", ".webp", 2560, 1600),
    _Plan("tiny.jpg", ".jpg", 200, 150, 1),
)

_FAST_PLANS = (
    _Plan("upright.jpg", ".jpg", 1600, 1200, 1),
    _Plan("held-left.jpg", ".jpg", 1200, 1600, 6),
    _Plan("cut-out.png", ".png", 800, 600),
    _Plan("tiny.webp", ".webp", 200, 150),
)


def count(fast: bool) -> int:
    return len(_FAST_PLANS if fast else _PLANS)


def painted(fast: bool) -> Iterator[Sample]:
    """The demonstration's own pictures, one after another since each takes a moment to paint."""
    scenes: dict[tuple[int, int], pyvips.Image] = {}
    for number, plan in enumerate(_FAST_PLANS if fast else _PLANS):
        size = plan.width, plan.height
        # Painting 12 megapixels takes seconds: pictures of one size share a scene, each in a light of its own.
        if size not in scenes:
            scenes[size] = _paint(*size, seed=number + 1)
        body = _encode((scenes[size] * [1 - number / 40, 1, 1 - number / 60]).cast("uchar"), plan)
        yield Sample(plan.name, media_type_of(body) or "", body)


def from_folder(folder: Path) -> tuple[list[Sample], list[str]]:
    """Every image in the folder, and a note for each file that is left out."""
    samples: list[Sample] = []
    notes: list[str] = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        size = path.stat().st_size
        if size > LARGEST_BODY:
            notes.append(f"{path.name}: left out, {size / 2**20:.1f} MiB is more than the 10 MiB the door takes")
            continue
        body = path.read_bytes()
        media_type = media_type_of(body)
        if media_type is None:
            notes.append(f"{path.name}: left out, no image Mayfly takes")
        else:
            samples.append(Sample(path.name, media_type, body))
    return samples, notes


def media_type_of(body: bytes) -> str | None:
    """The type by the first bytes; None where they are no image that is taken in."""
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    if body.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if body.startswith((b"II*\0", b"MM\0*")):
        return "image/tiff"
    if body[4:8] == b"ftyp":
        brands = [body[8:12], *(body[at : at + 4] for at in range(16, int.from_bytes(body[:4], "big"), 4))]
        return next((_HEIF_BRANDS[brand] for brand in brands if brand in _HEIF_BRANDS), None)
    return None


def _paint(width: int, height: int, seed: int) -> pyvips.Image:
    """A landscape that no turn or mirror maps onto itself: sun on the left, house on the right, sky above."""
    grid = pyvips.Image.xyz(width, height)
    x, y = grid[0] / width, grid[1] / height
    # Painted small and enlarged: clouds are smooth, and this takes a tenth of the time.
    clouds = pyvips.Image.perlin(width // 8 + 1, height // 8 + 1, cell_size=max(8, width // 48), seed=seed)
    clouds = clouds.resize(8).crop(0, 0, width, height) * 28
    hills = 0.62 + (x * 9 * 57.3).sin() * 0.05 + x * 0.08
    sky = (y * 120 + 70 + clouds).bandjoin([y * 90 + 120 + clouds, y * -60 + 235 + clouds * 0.5])
    land = (y * 60 + 20 + clouds * 0.6).bandjoin([y * -70 + 170 + clouds, y * 20 + 30 + clouds * 0.3])
    picture = (y < hills).ifthenelse(sky, land)
    sun = (x - 0.24) ** 2 + ((y - 0.22) * height / width) ** 2 < 0.07**2
    house = (x > 0.66) & (x < 0.86) & (y > 0.52) & (y < 0.8)
    door = (x > 0.7) & (x < 0.75) & (y > 0.66) & (y < 0.8)
    picture = sun.ifthenelse([255, 240, 180], picture)
    picture = house.ifthenelse([176, 58, 46], picture)
    picture = door.ifthenelse([60, 35, 25], picture)
    grain = pyvips.Image.gaussnoise(width, height, sigma=5, mean=0, seed=seed)
    return (picture + grain).cast("uchar").copy(interpretation="srgb").copy_memory()


def _encode(upright: pyvips.Image, plan: _Plan) -> bytes:
    if plan.suffix == ".png":
        return bytes(_cut_out(upright).write_to_buffer(".png", compression=3))
    if plan.orientation is None:
        return bytes(upright.write_to_buffer(plan.suffix, Q=85))
    stored = as_stored(upright, plan.orientation).copy()
    for field, value in _EXIF.items():
        stored.set_type(pyvips.GValue.gstr_type, field, value)
    stored.set_type(pyvips.GValue.gint_type, "orientation", plan.orientation)
    return bytes(stored.write_to_buffer(plan.suffix, Q=90))


def as_stored(upright: pyvips.Image, orientation: int) -> pyvips.Image:
    """The pixels as a camera stores them with this EXIF orientation, so that a viewer turns them back upright."""
    stored = {
        1: lambda: upright,
        2: lambda: upright.fliphor(),
        3: lambda: upright.rot180(),
        4: lambda: upright.flipver(),
        5: lambda: upright.rot90().fliphor(),
        6: lambda: upright.rot270(),
        7: lambda: upright.rot270().fliphor(),
        8: lambda: upright.rot90(),
    }
    return stored[orientation]()


def _cut_out(picture: pyvips.Image) -> pyvips.Image:
    """The picture inside a circle, transparent around it."""
    grid = pyvips.Image.xyz(picture.width, picture.height)
    across = (grid[0] - picture.width / 2) ** 2 + (grid[1] - picture.height / 2) ** 2
    inside = across < (min(picture.width, picture.height) * 0.48) ** 2
    return picture.bandjoin(inside.ifthenelse(255, 0).cast("uchar"))
