"""Where an image's bytes stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.model.address import Address, Kind, parse_file_name
from mayfly.model.errors import InvalidRequest
from mayfly.model.identity import ImageId
from mayfly.model.instant import Ms
from mayfly.model.retention import Retention

BORN = Ms(1_790_000_040_000)
ONE = ImageId.compose(BORN, Retention(60), 1)

ids = st.builds(
    ImageId.compose,
    st.integers(0, 2**47).map(Ms),
    st.integers(1, 10_080).map(Retention),
    st.integers(0, 2**60 - 1),
)
addresses = st.builds(Address, st.sampled_from(Kind), ids, st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True))


@given(addresses)
def test_a_file_name_is_read_back(address: Address) -> None:
    assert Address.from_file_name(address.file_name) == address
    assert parse_file_name(address.file_name) == address


@given(addresses)
def test_a_file_name_fits_a_file_system(address: Address) -> None:
    assert len(address.file_name) <= 100
    assert set(address.file_name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert not address.file_name.startswith(".")


@given(addresses, addresses)
def test_different_addresses_have_different_names_and_texts(one: Address, other: Address) -> None:
    assert (one.file_name == other.file_name) == (one == other)
    assert (str(one) == str(other)) == (one == other)


def test_an_address_says_when_it_dies() -> None:
    address = Address.rendition(ONE, "thumb")
    assert address.minute == ONE.expiry_minute
    assert str(address) == f"rendition/20260921T1514Z/{ONE}/thumb"
    assert str(Address.original(ONE)) == f"original/20260921T1514Z/{ONE}/original"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "../a",
        "a.b",
        "a\\b",
        "a\x00",
        "a\n",
        "A",
        "1a",
        "-a",
        "_a",
        "a b",
        "ä",
        "a" * 33,
        "con:",
        "٣",
    ],
)
def test_a_hostile_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        Address.rendition(ONE, name)
    assert parse_file_name(f"{ONE}.rendition.{name}") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "readme.txt",
        f"{ONE}",
        f"{ONE}.original",
        f"{ONE}.original.original.part",
        f"{ONE}.Original.original",
        f"{ONE}.secret.original",
        f"{str(ONE).upper()}.original.original",
        f"{str(ONE)[:-1]}.original.original",
        f"../{ONE}.original.original",
        f"{ONE}.original.original/",
        "00000000-0000-4000-8000-000000000000.original.original",
        "ffffffff-ffff-8fff-bfff-ffffffffffff.original.original",
    ],
)
def test_a_file_name_that_is_no_address_of_ours_stands_for_none(text: str) -> None:
    assert parse_file_name(text) is None


@given(st.text(max_size=100))
def test_any_text_is_one_addresss_file_name_or_stands_for_none(text: str) -> None:
    found = parse_file_name(text)
    assert found is None or found.file_name == text
