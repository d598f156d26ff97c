"""What campaigns are made of: every picture can be decoded, every size is exact, a seed gives the same bytes."""

import hashlib
import random
from collections import Counter
from pathlib import Path

import pi_heif
import pytest
import pyvips

from support.stream_pictures import HEIC, JPEG, LIMIT, bases, grown, marked, photos
from support.stream_plan import COORDINATES_ONLY, MARK, POISON, SMALLEST_LARGE, Planned, plan

COUNT = 900
FILLING = random.Random(2).randbytes(3_000_000)
PICTURES = bases(random.Random(1))


@pytest.fixture(scope="module")
def planned() -> list[Planned]:
    return list(plan(COUNT, 6, seed=7))


def decoded(body: bytes, media_type: str) -> bytes:
    """Its pixels. libvips has no decoder for HEVC here."""
    if media_type == HEIC:
        return bytes(pi_heif.open_heif(body).data)
    pixels: bytes = pyvips.Image.new_from_buffer(body, "", fail_on="warning").write_to_memory()
    return pixels


@pytest.mark.parametrize(("body", "media_type"), PICTURES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_marked_and_a_grown_picture_show_what_they_showed(body: bytes, media_type: str) -> None:
    shown = decoded(body, media_type)
    for changed in (
        marked(body, media_type, bytes(MARK)),
        grown(body, media_type, bytes(MARK), 2_000_001, FILLING),
    ):
        assert decoded(changed, media_type) == shown
        assert changed != body


@pytest.mark.parametrize("more", [200, 65_530, 65_537, 65_538, 131_073, 131_079, 131_080, 131_081])
def test_a_grown_jpeg_has_exactly_the_size_asked_for(more: int) -> None:
    body, media_type = PICTURES[0]
    assert media_type == JPEG
    assert len(grown(body, JPEG, bytes(MARK), len(body) + more, FILLING)) == len(body) + more


def test_a_seed_gives_the_same_messages_again_and_another_one_others(planned: list[Planned]) -> None:
    def told(messages: list[Planned]) -> list[tuple[object, ...]]:
        return [(m.message.value, m.message.headers, m.message.partition, m.kind, m.fate) for m in messages]

    assert told(planned[:200]) == told(list(plan(COUNT, 6, seed=7))[:200])
    assert told(planned[:200]) != told(list(plan(COUNT, 6, seed=8))[:200])


def test_a_plan_has_its_share_of_everything(planned: list[Planned]) -> None:
    kinds = Counter(message.kind for message in planned)
    assert len(planned) == COUNT
    assert set(POISON) | {"small", "large", "twin", "rival", "due"} == set(kinds)
    assert 0.03 < sum(kinds[kind] for kind in POISON) / COUNT < 0.07
    large = [len(message.message.value or b"") for message in planned if message.kind == "large"]
    assert 0.06 < len(large) / COUNT < 0.14
    assert min(large) >= SMALLEST_LARGE
    assert max(large) == LIMIT
    assert {len(m.message.value or b"") for m in planned if m.kind == "over-size"} == {LIMIT + 1}
    assert {m.message.partition for m in planned} == set(range(6))


def test_no_two_bodies_are_alike_but_twins_and_nothing(planned: list[Planned]) -> None:
    bodies = Counter(hashlib.sha256(message.message.value or b"").digest() for message in planned)
    twins = sum(message.fate == "twin" for message in planned)
    nothing = sum(not message.message.value for message in planned)
    assert len(bodies) == COUNT - twins - nothing + 1


def test_pairs_stand_side_by_side_under_one_name(planned: list[Planned]) -> None:
    places = [n for n, message in enumerate(planned) if message.kind in ("twin", "rival")]
    for first, second in zip(places[::2], places[1::2], strict=True):
        assert second == first + 1
        one, other = planned[first], planned[second]
        assert one.message.headers == other.message.headers
        assert (one.message.value == other.message.value) == (one.kind == "twin")


def test_letters_say_why_but_where_decoding_has_the_word(planned: list[Planned]) -> None:
    silent = {message.kind for message in planned if message.fate == "letter" and not message.reason}
    assert silent == {"cut-head", "cut-body"}
    assert {message.reason for message in planned} >= COORDINATES_ONLY


def test_photos_of_a_folder_come_marked(tmp_path: Path) -> None:
    body, _ = PICTURES[0]
    (tmp_path / "b.JPG").write_bytes(body)
    (tmp_path / "a.txt").write_bytes(b"no photo")
    (tmp_path / "c.jpg").write_bytes(bytes(LIMIT))
    found = photos(tmp_path)
    assert found == [(body, JPEG)]
    assert any(message.kind == "photo" for message in plan(100, 6, 1, found))
