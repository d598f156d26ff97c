"""What has to be true, each as one function that gives the list of what is not.

It trusts nothing of Mayfly's: it knows HTTP answers, files and pictures. An empty list means that all is well.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pyvips

from mayfly.demo.pictures import Source, likeness, metadata_in, read_source, to_square, turned
from mayfly.demo.samples import media_type_of

BOXES = {"thumb": 256, "preview": 1024, "large": 2048}
_HALVES = (1 / 8, 1 / 4, 1 / 2)
_LEAST_OF_A_BOX = 0.97
"""The default renditions: the side of the square each fits into."""

_LIKE_ENOUGH = 0.9
_CLEARLY_LIKER = 0.02
"""How much better another turn has to fit to be called the right one: a symmetric picture fits several."""

_KEY_HEADER = 4096
_KEY_SLOT = 64
_KEY = slice(8, 40)

_CLEAR_SIGNS = (b"JFIF\0", b"Exif\0\0", b"\x89PNG\r\n\x1a\n", b"WEBPVP8", b"http://ns.adobe.com/", b"ftypheic")
_EVENTS = ("sequence", "image_id", "state", "reason", "at", "source", "renditions")
_STATES = (b"received", b"processed", b"failed", b"rejected", b"purged")
"""What is told of an image is kept for a day, its death included: these columns, the id right before the state."""

_PIECE = 32
"""A run of this many equal bytes is no accident."""
_SHORTEST_NAME = 5
"""File names up to this long are found in random bytes by accident."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A rendition as it was served: what was said of it, and its bytes."""

    said: Mapping[str, Any]
    media_type: str
    content: bytes


def original_faults(name: str, sent: bytes, served: bytes, said_sha256: str | None) -> list[str]:
    """The original comes back as it was sent, and the record names its SHA-256."""
    faults = []
    digest = hashlib.sha256(sent).hexdigest()
    if hashlib.sha256(served).hexdigest() != digest:
        faults.append(f"{name}: the original served is not the one sent (SHA-256 differs)")
    if said_sha256 != digest:
        faults.append(f"{name}: the record names another SHA-256 than that of the bytes sent")
    return faults


def rendition_faults(name: str, sent: bytes, media_type: str, renditions: Mapping[str, Fetched]) -> list[str]:
    """Every rendition is there, of the right type and size, upright, sRGB, and without metadata."""
    faults = [f"{name}: there is no rendition {missing}" for missing in sorted(BOXES.keys() - renditions.keys())]
    try:
        source = read_source(sent, media_type)
    except (pyvips.Error, ValueError) as error:
        return [*faults, f"{name}: the checker cannot decode what was sent: {error}"]
    for rendition_name, fetched in renditions.items():
        label = f"{name}: rendition {rendition_name}"
        box = BOXES.get(rendition_name)
        if box is None:
            faults.append(f"{label} was not asked for")
            continue
        faults += [f"{label} {fault}" for fault in _faults_of_one(source, rendition_name, box, fetched)]
    return faults


def _faults_of_one(source: Source, name: str, box: int, fetched: Fetched) -> list[str]:
    try:
        image = pyvips.Image.new_from_buffer(fetched.content, "", fail_on="error").copy_memory()
    except pyvips.Error as error:
        return [f"cannot be decoded: {error}"]
    return [
        *_type_faults(source, name, fetched),
        *_size_faults(source, box, image, fetched),
        *_turn_faults(source, image),
        *_privacy_faults(image),
    ]


def _type_faults(source: Source, name: str, fetched: Fetched) -> list[str]:
    expected = "image/webp" if name == "thumb" or source.has_alpha else "image/jpeg"
    found = media_type_of(fetched.content)
    named = {str(fetched.said["media_type"]), fetched.media_type.split(";")[0]}
    if found != expected:
        return [f"is {found}, not {expected}"]
    return [] if named == {expected} else [f"is {expected} but was called {' and '.join(sorted(named))}"]


def _size_faults(source: Source, box: int, image: pyvips.Image, fetched: Fetched) -> list[str]:
    faults = []
    scale = min(1.0, box / max(source.width, source.height))
    if source.is_jpeg:
        # A JPEG may come out a little under its box, if that is a half or a quarter of the original.
        scale = next((half for half in _HALVES if scale * _LEAST_OF_A_BOX <= half <= scale), scale)
    expected = (max(1, round(source.width * scale)), max(1, round(source.height * scale)))
    found = (image.width, image.height)
    if found[0] > source.width or found[1] > source.height:
        faults.append(f"was enlarged: {found[0]} x {found[1]} from {source.width} x {source.height}")
    elif any(abs(one - other) > 1 for one, other in zip(found, expected, strict=True)):
        faults.append(f"is {found[0]} x {found[1]}, not {expected[0]} x {expected[1]}")
    if (fetched.said["width"], fetched.said["height"], fetched.said["bytes"]) != (*found, len(fetched.content)):
        faults.append("has another size than its record says")
    return faults


def _turn_faults(source: Source, image: pyvips.Image) -> list[str]:
    """Compared with the source in all eight turns: the one its EXIF asks for has to fit best."""
    shown = to_square(image)
    fits = {turn: likeness(turned(source.square, turn), shown) for turn in range(1, 9)}
    right, best = fits[source.orientation], max(fits.values())
    if best > right + _CLEARLY_LIKER:
        return ["is turned wrongly"]
    return [] if right > _LIKE_ENOUGH else [f"does not look like the picture sent (likeness {right:.2f})"]


def _privacy_faults(image: pyvips.Image) -> list[str]:
    faults = []
    if fields := metadata_in(image):
        faults.append(f"carries metadata: {', '.join(fields)}")
    if image.get_typeof("orientation") and image.get("orientation") != 1:
        faults.append("still carries an orientation")
    if image.interpretation not in {"srgb", "b-w"}:
        faults.append(f"is not sRGB but {image.interpretation}")
    if image.get_typeof("icc-profile-data") and b"sRGB" not in image.get("icc-profile-data").replace(b"\0", b""):
        faults.append("carries a colour profile other than sRGB")
    return faults


def sealed_faults(copy: Path, image_id: str, name: str, sent: bytes) -> list[str]:
    """In a copy of the data the image's objects are there, and nothing of them, or of its name, is to be read."""
    objects = [path for path in _files(copy) if path.name.startswith(image_id)]
    elsewhere = [path for path in _files(copy) if (copy / "objects") not in path.parents]
    faults = []
    if len(objects) < 1 + len(BOXES):
        faults.append(f"{name}: the copy holds {len(objects)} of its objects, so that it proves nothing")
    digest = hashlib.sha256(sent)
    tells = {
        "its SHA-256": (digest.digest(), digest.hexdigest().encode()),
        "its file name": (name.encode(),) if len(name) > _SHORTEST_NAME else (),
        "a piece of it": tuple(_pieces(sent)),
    }
    for path in [*objects, *elsewhere]:
        content = path.read_bytes()
        where = path.relative_to(copy)
        for what, needles in tells.items():
            if any(needle in content for needle in needles):
                faults.append(f"{name}: {what} is to be read in the copy's {where}")
        if path in objects and (media_type_of(content) or any(sign in content for sign in _CLEAR_SIGNS)):
            faults.append(f"{name}: the copy's {where} is not sealed")
    return faults


def living_faults(statuses: Mapping[str, int]) -> list[str]:
    """Every path of a dead image answers 410."""
    return [f"{path} answers {status}, not 410" for path, status in statuses.items() if status != 410]


def listed_faults(ids: Iterable[str], listed: set[str]) -> list[str]:
    return [f"{image_id} is still listed" for image_id in ids if image_id in listed]


def file_faults(data: Path, image_id: str, ciphertexts: Iterable[bytes] = ()) -> list[str]:
    """No file of the data folder is named by the image, names it but as the subject of an event, or holds a piece of
    its sealed bytes."""
    raw, text = _forms(image_id)
    pieces = [piece for ciphertext in ciphertexts for piece in _pieces(ciphertext)]
    faults = []
    for path in _files(data):
        where = path.relative_to(data)
        if image_id in path.name:
            faults.append(f"{image_id}: the file {where} is still there")
            continue
        content = path.read_bytes()
        if raw in _without_events(content, raw) or text in content:
            faults.append(f"{image_id}: its id is still in the bytes of {where}")
        if any(piece in content for piece in pieces):
            faults.append(f"{image_id}: sealed bytes of it are still in {where}")
    return faults


def row_faults(data: Path, image_id: str) -> list[str]:
    """No row of any table of any database in the folder names the image, but for events, which hold nothing else."""
    faults = []
    for path in _files(data):
        if not _is_database(path):
            continue
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as database:
            faults += [
                f"{image_id}: a row of {table} in {path.name} still names it"
                for table in _tables(database)
                if not _is_log(database, table) and _names(database, table, *_forms(image_id))
            ]
    return faults


def minute_of(expires_at: str) -> int:
    """The minute, counted from the epoch, in which a time such as `2026-11-30T02:29:35Z` lies."""
    return int(datetime.fromisoformat(expires_at).timestamp()) // 60


def find_key(keys: Path, minute: int) -> bytes | None:
    """The key of a minute, read from the slots of the key file; None where there is none."""
    content = (keys / "minutes.slots").read_bytes()
    number = minute.to_bytes(8, "little")
    for start in range(_KEY_HEADER, len(content) - _KEY_SLOT + 1, _KEY_SLOT):
        slot = content[start : start + _KEY_SLOT]
        if slot[:8] == number and any(slot[_KEY]):
            return slot[_KEY]
    return None


def key_faults(keys: Path, lost: Mapping[int, bytes]) -> list[str]:
    """The keys that once were, by minute, stand in no file of the key folder any more."""
    contents = {path: path.read_bytes() for path in _files(keys)}
    return [
        f"the key of minute {minute} is still in {path.relative_to(keys)}"
        for minute, key in lost.items()
        for path, content in contents.items()
        if key in content
    ]


def _files(folder: Path) -> list[Path]:
    """Sockets and the like hold nothing and are left out."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _pieces(content: bytes) -> Iterator[bytes]:
    """A few pieces from within: beginnings are alike among files of one format, and so may ends be."""
    for tenths in (3, 5, 8):
        piece = content[len(content) * tenths // 10 :][:_PIECE]
        # A run of one byte, as plain pictures hold, would be found anywhere.
        if len(piece) == _PIECE and len(set(piece)) > _PIECE // 4:
            yield piece


def _forms(image_id: str) -> tuple[bytes, bytes]:
    return UUID(image_id).bytes, image_id.encode()


def _without_events(content: bytes, raw: bytes) -> bytes:
    for state in _STATES:
        content = content.replace(raw + state, state)
    return content


def _is_log(database: sqlite3.Connection, table: str) -> bool:
    columns = database.execute(f'SELECT name FROM pragma_table_info("{table}")').fetchall()  # noqa: S608 - as below
    return table == "events" and tuple(name for (name,) in columns) == _EVENTS


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _tables(database: sqlite3.Connection) -> list[str]:
    return [str(name) for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def _names(database: sqlite3.Connection, table: str, raw: bytes, text: bytes) -> bool:
    rows = database.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - the database's own table names
    return any(_holds(value, raw, text) for row in rows for value in row)


def _holds(value: object, raw: bytes, text: bytes) -> bool:
    if isinstance(value, str):
        return text in value.encode()
    return isinstance(value, bytes) and (raw in value or text in value)
