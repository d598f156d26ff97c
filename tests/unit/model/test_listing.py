"""Cursors."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.model.errors import InvalidRequest
from mayfly.model.identity import ImageId
from mayfly.model.listing import decode_cursor, decode_letter_cursor, encode_cursor, encode_letter_cursor

ids = st.integers(0, 2**128 - 1).map(ImageId)
GOOD = encode_cursor(ImageId(2**127 + 12_345))


@given(ids)
def test_a_cursor_is_read_back_and_may_stand_in_an_address(image_id: ImageId) -> None:
    cursor = encode_cursor(image_id)
    assert decode_cursor(cursor) == image_id
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "next",
        GOOD[:-1],
        GOOD[:-4],
        GOOD + "A",
        GOOD + "AAAA",
        GOOD[1:],
        " " + GOOD,
        GOOD + "\n",
        "é" * 23,
        "\x00",
        "=" * 24,
        str(ImageId(5)),
        base64.urlsafe_b64encode(b"\x02" + bytes(16)).decode().rstrip("="),
        base64.urlsafe_b64encode(bytes(17)).decode().rstrip("="),
    ],
)
def test_a_broken_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_cursor(text)


@given(st.text(max_size=40))
def test_any_text_is_a_cursor_or_is_refused_as_one(text: str) -> None:
    try:
        found = decode_cursor(text)
    except InvalidRequest:
        return
    assert 0 <= found.value < 2**128


@given(st.text(max_size=300))
def test_a_cursor_of_letters_is_read_back_and_none_of_images(key: str) -> None:
    cursor = encode_letter_cursor(key)
    assert decode_letter_cursor(cursor) == key
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    for decode, other in ((decode_cursor, cursor), (decode_letter_cursor, GOOD)):
        with pytest.raises(InvalidRequest):
            decode(other)


@given(st.text(max_size=40))
def test_any_text_is_a_cursor_of_letters_or_is_refused_as_one(text: str) -> None:
    try:
        decode_letter_cursor(text)
    except InvalidRequest:
        return
    assert text.startswith("A")
