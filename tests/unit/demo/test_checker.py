"""Each fault the demonstration promises to find is planted here, and has to be found; the same without it is clean."""

import hashlib
import sqlite3
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from uuid import UUID

import pytest
import pyvips

from mayfly.demo import checker, samples
from mayfly.demo.checker import Fetched

IMAGE = "019d3f2a-7c00-89d8-8000-0123456789ab"
MINUTE = 29_931_389
SOURCES = {sample.name: sample for sample in samples.painted(fast=True)}
HELD_LEFT = SOURCES["held-left.jpg"]


def described(image: pyvips.Image, content: bytes, media_type: str) -> Fetched:
    said = {"media_type": media_type, "bytes": len(content), "width": image.width, "height": image.height}
    return Fetched(said, media_type, content)


def encoded(image: pyvips.Image, name: str, alpha: bool, **options: object) -> Fetched:
    kind = "webp" if name == "thumb" or alpha else "jpeg"
    content = bytes(image.write_to_buffer(f".{kind}", **{"keep": "none", **options}))
    return described(image, content, f"image/{kind}")


@cache
def _good_renditions(sample: samples.Sample) -> Mapping[str, Fetched]:
    upright = pyvips.Image.new_from_buffer(sample.body, "").autorot().copy_memory()
    return {
        name: encoded(
            upright.thumbnail_image(box, height=box, size="down", no_rotate=True), name, bool(upright.hasalpha())
        )
        for name, box in checker.BOXES.items()
    }


def good_renditions(sample: samples.Sample) -> dict[str, Fetched]:
    return dict(_good_renditions(sample))


def faults_of(sample: samples.Sample, renditions: dict[str, Fetched]) -> list[str]:
    return checker.rendition_faults(sample.name, sample.body, sample.media_type, renditions)


def altered(change: Callable[[pyvips.Image], pyvips.Image], **options: object) -> list[str]:
    """The faults found when the preview of the turned photo was changed like this."""
    good = good_renditions(HELD_LEFT)
    preview = pyvips.Image.new_from_buffer(good["preview"].content, "")
    return faults_of(HELD_LEFT, {**good, "preview": encoded(change(preview), "preview", alpha=False, **options)})


def with_exif(image: pyvips.Image) -> pyvips.Image:
    marked = image.copy()
    marked.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Make", samples.CAMERA)
    return marked


BLOBS = {
    "xmp-data": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
    "iptc-data": b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\0",
}


def with_blob(field: str) -> Callable[[pyvips.Image], pyvips.Image]:
    def mark(image: pyvips.Image) -> pyvips.Image:
        marked = image.copy()
        marked.set_type(pyvips.GValue.blob_type, field, BLOBS[field])
        return marked

    return mark


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_right_renditions_are_found_faultless(name: str) -> None:
    assert faults_of(SOURCES[name], good_renditions(SOURCES[name])) == []


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rendition_is_upright_when_its_source_s_orientation_was_obeyed_and_only_then(orientation: int) -> None:
    upright = pyvips.Image.new_from_buffer(SOURCES["upright.jpg"].body, "").autorot()
    stored = samples.as_stored(upright, orientation).copy()
    stored.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    turned = replace(HELD_LEFT, body=bytes(stored.write_to_buffer(".jpg")))
    obeyed = good_renditions(SOURCES["upright.jpg"])
    assert faults_of(turned, obeyed) == []
    preview = pyvips.Image.new_from_buffer(obeyed["preview"].content, "")
    for wrong in range(2, 9):
        planted = {"preview": encoded(samples.as_stored(preview, wrong), "preview", alpha=False)}
        assert any("turned wrongly" in fault for fault in faults_of(turned, planted)), wrong


def test_a_wrong_turn_is_found() -> None:
    assert "turned wrongly" in altered(lambda image: image.rot180())[0]


def test_left_exif_is_found() -> None:
    assert any("metadata: exif" in fault for fault in altered(with_exif, keep="exif"))


@pytest.mark.parametrize("field", BLOBS)
def test_left_xmp_and_iptc_are_found(field: str) -> None:
    assert any(field in fault for fault in altered(with_blob(field), keep="all"))


def test_a_foreign_colour_profile_is_found() -> None:
    assert any("colour profile" in fault for fault in altered(lambda image: image, profile="p3", keep="icc"))


def test_a_cmyk_rendition_is_found() -> None:
    assert any("not sRGB" in fault for fault in altered(lambda image: image.colourspace("cmyk")))


def test_an_enlarged_rendition_is_found() -> None:
    tiny = SOURCES["tiny.webp"]
    large = pyvips.Image.new_from_buffer(tiny.body, "").resize(4)
    faults = faults_of(tiny, {**good_renditions(tiny), "large": encoded(large, "large", alpha=False)})
    assert any("enlarged: 800 x 600 from 200 x 150" in fault for fault in faults)


def test_a_rendition_of_the_wrong_size_is_found() -> None:
    assert any("is 450 x 600, not 768 x 1024" in fault for fault in altered(lambda i: i.thumbnail_image(600)))


def test_another_picture_is_found() -> None:
    noise = pyvips.Image.gaussnoise(768, 1024, seed=1).cast("uchar").copy(interpretation="srgb")
    assert any("turned wrongly" in f or "does not look like" in f for f in altered(lambda _: noise))


def test_a_missing_an_unasked_and_an_undecodable_rendition_are_found() -> None:
    renditions = good_renditions(HELD_LEFT)
    renditions["poster"] = renditions.pop("large")
    renditions["preview"] = replace(renditions["preview"], content=renditions["preview"].content[:500])
    faults = "\n".join(faults_of(HELD_LEFT, renditions))
    assert "no rendition large" in faults
    assert "poster was not asked for" in faults
    assert "preview cannot be decoded" in faults


def test_a_wrong_media_type_is_found() -> None:
    renditions = good_renditions(HELD_LEFT)
    renditions["thumb"] = replace(renditions["thumb"], media_type="image/png")
    renditions["large"] = replace(renditions["preview"], content=renditions["thumb"].content)
    faults = "\n".join(faults_of(HELD_LEFT, renditions))
    assert "thumb is image/webp but was called image/png" in faults
    assert "large is image/webp, not image/jpeg" in faults


def test_a_size_that_the_record_tells_wrongly_is_found() -> None:
    renditions = good_renditions(HELD_LEFT)
    thumb = renditions["thumb"]
    renditions["thumb"] = replace(thumb, said={**thumb.said, "bytes": 1})
    assert any("another size than its record" in fault for fault in faults_of(HELD_LEFT, renditions))


def test_a_source_that_cannot_be_decoded_is_a_fault_and_no_crash() -> None:
    assert "cannot decode" in faults_of(replace(HELD_LEFT, body=b"\xff\xd8\xff"), good_renditions(HELD_LEFT))[0]


def test_a_wrong_original_and_a_wrong_digest_are_found() -> None:
    digest = hashlib.sha256(b"sent").hexdigest()
    assert checker.original_faults("a", b"sent", b"sent", digest) == []
    assert "not the one sent" in checker.original_faults("a", b"sent", b"Sent", digest)[0]
    assert "another SHA-256" in checker.original_faults("a", b"sent", b"sent", None)[0]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder as it is while one image lives: four sealed objects and a row."""
    shelf = tmp_path / "data" / "objects" / "20261130T0229Z"
    shelf.mkdir(parents=True)
    for number, name in enumerate(("original.original", *(f"rendition.{box}" for box in checker.BOXES))):
        (shelf / f"{IMAGE}.{name}").write_bytes(noise(number))
    with sqlite3.connect(tmp_path / "data" / "mayfly.db") as database:
        database.execute("PRAGMA secure_delete = ON")
        database.execute("CREATE TABLE images (id BLOB PRIMARY KEY, note TEXT)")
        database.execute("INSERT INTO images VALUES (?, ?)", (UUID(IMAGE).bytes, None))
    database.close()
    return tmp_path / "data"


def noise(seed: int) -> bytes:
    return b"".join(hashlib.sha256(struct.pack("<2Q", seed, block)).digest() for block in range(4_000))


def purge(data: Path) -> list[bytes]:
    """What a sweep leaves; gives the sealed bytes that were there."""
    objects = list(data.rglob(f"{IMAGE}*"))
    sealed = [path.read_bytes() for path in objects]
    for path in objects:
        path.unlink()
    with sqlite3.connect(data / "mayfly.db") as database:
        database.execute("PRAGMA secure_delete = ON")
        database.execute("DELETE FROM images")
    database.close()
    return sealed


def test_a_purged_folder_is_found_clean(data: Path) -> None:
    sealed = purge(data)
    assert checker.file_faults(data, IMAGE, sealed) == []
    assert checker.row_faults(data, IMAGE) == []


def test_a_kept_file_is_found(data: Path) -> None:
    purge(data)
    (data / "objects" / f"{IMAGE}.original.original").touch()
    assert "is still there" in checker.file_faults(data, IMAGE)[0]


def test_sealed_bytes_kept_under_another_name_are_found(data: Path) -> None:
    sealed = purge(data)
    (data / "leftover").write_bytes(b"x" + sealed[0])
    assert "sealed bytes of it are still in leftover" in checker.file_faults(data, IMAGE, sealed)[0]


@pytest.mark.parametrize("value", [UUID(IMAGE).bytes, IMAGE, f'{{"image": "{IMAGE}"}}', b"\0" + UUID(IMAGE).bytes])
def test_a_kept_row_is_found_in_any_table_and_form(data: Path, value: object) -> None:
    purge(data)
    with sqlite3.connect(data / "mayfly.db") as database:
        database.execute('CREATE TABLE "other things" (x)')
        database.execute('INSERT INTO "other things" VALUES (?)', (value,))
    database.close()
    assert "a row of other things" in checker.row_faults(data, IMAGE)[0]


def test_an_id_left_in_the_database_s_free_bytes_is_found(data: Path) -> None:
    purge(data)
    with (data / "mayfly.db").open("ab") as file:
        file.write(UUID(IMAGE).bytes)
    assert "its id is still in the bytes of mayfly.db" in checker.file_faults(data, IMAGE)[0]


def tell(data: Path, *more: str) -> None:
    """Leave an event of its death, in a log with these columns beside."""
    columns = ["sequence INTEGER PRIMARY KEY", "image_id", "state", "reason", "at", "source", "renditions", *more]
    with sqlite3.connect(data / "mayfly.db") as database:
        database.execute(f"CREATE TABLE events ({', '.join(columns)})")
        row = (UUID(IMAGE).bytes, "purged", None, 7, "http", "[]")
        database.execute(
            "INSERT INTO events (image_id, state, reason, at, source, renditions) VALUES (?, ?, ?, ?, ?, ?)", row
        )
    database.close()


def test_an_event_may_tell_of_its_death(data: Path) -> None:
    sealed = purge(data)
    tell(data)
    assert checker.file_faults(data, IMAGE, sealed) == []
    assert checker.row_faults(data, IMAGE) == []


def test_an_event_that_could_hold_more_is_found(data: Path) -> None:
    purge(data)
    tell(data, "file_name")
    assert "a row of events" in checker.row_faults(data, IMAGE)[0]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    slots = b"".join(struct.pack("<Q32sI20x", MINUTE + n, noise(n)[:32], 0) for n in range(3))
    (folder / "minutes.slots").write_bytes(b"header".ljust(4096, b"\0") + slots)
    return folder


def test_a_key_is_read_from_its_minute_s_slot(keys: Path) -> None:
    assert checker.find_key(keys, MINUTE + 1) == noise(1)[:32]
    assert checker.find_key(keys, MINUTE + 9) is None


def test_a_time_lies_in_its_minute() -> None:
    assert checker.minute_of("2026-11-28T04:29:59Z") == checker.minute_of("2026-11-28T04:29:00.000Z") == 29_930_669


def test_a_kept_key_is_found_wherever_it_lies(keys: Path) -> None:
    key = checker.find_key(keys, MINUTE)
    assert key is not None
    (keys / "minutes.slots").write_bytes(bytes(4096))
    assert checker.key_faults(keys, {MINUTE: key}) == []
    (keys / "backup").write_bytes(b"?" + key)
    assert f"the key of minute {MINUTE} is still in backup" in checker.key_faults(keys, {MINUTE: key})[0]


def test_a_sealed_copy_is_found_sealed(data: Path) -> None:
    assert checker.sealed_faults(data, IMAGE, HELD_LEFT.name, HELD_LEFT.body) == []


def test_an_unsealed_copy_is_found(data: Path) -> None:
    next(data.rglob("*.original.original")).write_bytes(HELD_LEFT.body)
    faults = "\n".join(checker.sealed_faults(data, IMAGE, HELD_LEFT.name, HELD_LEFT.body))
    assert "a piece of it is to be read" in faults
    assert "is not sealed" in faults


def test_a_clear_file_name_or_digest_in_the_copy_s_database_is_found(data: Path) -> None:
    for value in (HELD_LEFT.name, hashlib.sha256(HELD_LEFT.body).hexdigest()):
        with sqlite3.connect(data / "mayfly.db") as database:
            database.execute("UPDATE images SET note = ?", (value,))
        database.close()
        faults = checker.sealed_faults(data, IMAGE, HELD_LEFT.name, HELD_LEFT.body)
        assert "is to be read in the copy's mayfly.db" in faults[0]


def test_a_copy_without_the_objects_proves_nothing(data: Path) -> None:
    purge(data)
    assert "proves nothing" in checker.sealed_faults(data, IMAGE, HELD_LEFT.name, HELD_LEFT.body)[0]


def test_a_200_after_expiry_is_found() -> None:
    assert checker.living_faults({"/v1/images/x": 410}) == []
    assert checker.living_faults({"/v1/images/x": 410, "/y": 200}) == ["/y answers 200, not 410"]


def test_a_dead_image_that_is_listed_is_found() -> None:
    assert checker.listed_faults([IMAGE], {"another"}) == []
    assert checker.listed_faults([IMAGE], {IMAGE}) == [f"{IMAGE} is still listed"]
