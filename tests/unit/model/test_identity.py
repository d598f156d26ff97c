"""Ids that tell their birth and their death."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.model.errors import InvalidRequest, NotFound
from mayfly.model.identity import ImageId
from mayfly.model.instant import MINUTE, SECOND, Ms
from mayfly.model.retention import LONGEST_MINUTES, Retention

YEAR_9998 = 253_339_228_800_000

births = st.integers(0, YEAR_9998).map(Ms)
retentions = st.integers(1, LONGEST_MINUTES).map(Retention)
tails = st.integers(0, 2**60 - 1)
ids = st.builds(ImageId.compose, births, retentions, tails)


def altered(image_id: ImageId, minutes: int) -> str:
    """The id's text with other retention bits, legal or not."""
    value = image_id.value & ~(0xFFF << 64 | 0b11 << 60)
    return str(ImageId(value | (minutes >> 2) << 64 | (minutes & 0b11) << 60))


@given(births, retentions, tails)
def test_an_id_is_a_uuid_of_version_8_whose_bits_stand_where_the_rfc_puts_them(
    birth: Ms, retention: Retention, tail: int
) -> None:
    standard = uuid.UUID(str(ImageId.compose(birth, retention, tail)))
    assert standard.version == 8
    assert standard.variant == uuid.RFC_4122
    bits = f"{standard.int:0128b}"
    assert int(bits[:48], 2) == birth
    assert int(bits[52:64] + bits[66:68], 2) == retention.minutes
    assert int(bits[68:], 2) == tail


@given(births, retentions, tails)
def test_an_id_tells_birth_retention_and_end(birth: Ms, retention: Retention, tail: int) -> None:
    image_id = ImageId.compose(birth, retention, tail)
    assert image_id.birth == birth
    assert image_id.retention == retention
    assert image_id.expires_at == birth - birth % SECOND + retention.minutes * MINUTE
    assert image_id.expiry_minute == image_id.expires_at // MINUTE


@given(ids)
def test_text_and_bytes_are_read_back(image_id: ImageId) -> None:
    assert ImageId.parse(str(image_id)) == image_id
    assert str(uuid.UUID(str(image_id))) == str(image_id)
    assert len(image_id.raw) == 16
    assert ImageId.from_bytes(image_id.raw) == image_id


@given(st.lists(ids, min_size=2))
def test_ids_their_bytes_and_their_texts_sort_by_birth(many: list[ImageId]) -> None:
    ordered = sorted(many)
    assert [image_id.birth for image_id in ordered] == sorted(image_id.birth for image_id in many)
    assert [image_id.raw for image_id in ordered] == sorted(image_id.raw for image_id in many)
    assert [str(image_id) for image_id in ordered] == sorted(map(str, many))


@given(ids, births)
def test_a_bound_divides_the_ids_born_before_from_those_born_at_or_after(image_id: ImageId, instant: Ms) -> None:
    assert (image_id >= ImageId.first_born_at(instant)) == (image_id.birth >= instant)


def test_two_ids_of_the_same_millisecond_differ() -> None:
    assert len({ImageId.new(Ms(1_790_000_000_000), Retention(1)) for _ in range(1_000)}) == 1_000


@given(births, retentions, st.text(), st.text(), st.integers(0), st.integers(0))
def test_the_same_kafka_record_always_gets_the_same_id(
    birth: Ms, retention: Retention, source_name: str, topic: str, partition: int, offset: int
) -> None:
    first = ImageId.of_record(birth, retention, source_name, topic, partition, offset)
    assert ImageId.of_record(birth, retention, source_name, topic, partition, offset) == first
    assert (first.birth, first.retention) == (birth, retention)
    assert ImageId.parse(str(first)) == first


def test_a_kafka_records_id_never_changes_between_versions() -> None:
    image_id = ImageId.of_record(Ms(1_790_000_000_000), Retention(10_080), "main", "photos", 3, 42)
    assert str(image_id) == "01a0c450-6c00-89d8-80a4-e7f801353492"


def test_every_coordinate_of_a_kafka_record_counts() -> None:
    birth, retention = Ms(1_790_000_000_000), Retention(60)
    coordinates = [
        ("main", "photos", 1, 12),
        ("other", "photos", 1, 12),
        ("main", "others", 1, 12),
        ("main", "photos", 2, 12),
        ("main", "photos", 1, 13),
        ("main", "photos", 11, 2),
        ("mainp", "hotos", 1, 12),
    ]
    assert len({ImageId.of_record(birth, retention, *each) for each in coordinates}) == len(coordinates)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "image",
        "0" * 36,
        str(uuid.uuid4()),
        str(uuid.uuid1()),
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "01a0c8a1-b2c3-8001-0000-000000000000",
        "../../../../../../../etc/passwd",
        "٠" * 36,
    ],
)
def test_what_is_no_id_of_ours_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        ImageId.parse(text)


@given(ids)
def test_only_the_canonical_text_is_an_id(image_id: ImageId) -> None:
    text = str(image_id)
    others = [text.replace("-", ""), f"{{{text}}}", f"urn:uuid:{text}", f" {text}", f"{text}\n", f"{text}0", text[:-1]]
    others += [text.upper()] if text.upper() != text else []
    for other in others:
        with pytest.raises(NotFound):
            ImageId.parse(other)


@given(ids, st.sampled_from([0, LONGEST_MINUTES + 1, 2**14 - 1]) | st.integers(LONGEST_MINUTES + 1, 2**14 - 1))
def test_an_id_that_claims_no_life_or_too_long_a_life_was_never_ours(image_id: ImageId, minutes: int) -> None:
    with pytest.raises(NotFound):
        ImageId.parse(altered(image_id, minutes))


@given(ids, retentions)
def test_the_retention_bits_are_read_as_they_stand(image_id: ImageId, retention: Retention) -> None:
    assert ImageId.parse(altered(image_id, retention.minutes)).retention == retention


def test_an_id_born_past_the_end_of_the_calendar_was_never_ours() -> None:
    with pytest.raises(NotFound):
        ImageId.parse(str(ImageId.compose(Ms(2**48 - 1), Retention(1), 0)))


@pytest.mark.parametrize("minutes", [0, -1, LONGEST_MINUTES + 1])
def test_no_id_is_made_for_a_retention_out_of_bounds(minutes: int) -> None:
    with pytest.raises(InvalidRequest):
        ImageId.new(Ms(0), Retention(minutes))
