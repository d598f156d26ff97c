"""The door's eye over a whole body: what it takes, what it refuses, and how early."""

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.intake.inspect import TYPE_BYTES, Inspector, declared_type
from mayfly.model.errors import EmptyBody, Refused, TooManyPixels, TypeMismatch, UnknownType
from mayfly.model.formats import HEAD_BYTES
from mayfly.model.image import MediaType

Header = tuple[MediaType, Callable[[int, int], bytes], int]

MEGAPIXELS_100 = 100_000_000
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\0" * 200
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 200


def outcome(chunks: list[bytes], declared: str | None = None) -> MediaType | type[Refused]:
    inspector = Inspector(MEGAPIXELS_100, declared)
    try:
        for chunk in chunks:
            inspector.feed(chunk)
        return inspector.finish()
    except Refused as refusal:
        return type(refusal)


def singly(body: bytes) -> list[bytes]:
    return [body[at : at + 1] for at in range(len(body))]


def test_a_body_is_of_the_type_its_bytes_say(header: Header) -> None:
    media_type, make, _ = header
    inspector = Inspector(MEGAPIXELS_100, None)
    assert inspector.media_type is None
    inspector.feed(make(640, 480))
    assert inspector.media_type is media_type
    inspector.feed(b"\0" * 1_000_000)
    assert inspector.finish() is media_type


def test_a_bomb_is_refused_from_its_header(header: Header) -> None:
    _, make, largest = header
    inspector = Inspector(MEGAPIXELS_100, None)
    with pytest.raises(TooManyPixels, match=rf"{largest} x {largest} pixels; at most 100,000,000"):
        inspector.feed(make(largest, largest) + b"\0" * 200)


def test_dimensions_at_the_cap_are_taken_and_one_more_row_is_not(header: Header) -> None:
    _, make, _ = header
    taken = Inspector(640 * 480, None)
    taken.feed(make(640, 480))
    taken.finish()
    refused = Inspector(640 * 480, None)
    with pytest.raises(TooManyPixels):
        refused.feed(make(640, 481))


def test_dimensions_of_zero_are_left_for_decoding_to_reject(header: Header) -> None:
    media_type, make, largest = header
    if largest == 50_000 and media_type is not MediaType.WEBP:  # WebP writes one less than the side
        assert outcome([make(0, 480)]) is media_type


def test_bytes_fed_singly_end_as_bytes_fed_at_once(header: Header) -> None:
    _, make, largest = header
    for body in (make(640, 480), make(largest, largest), make(640, 480)[:20]):
        assert outcome(singly(body)) is outcome([body])


def test_an_empty_body_is_refused() -> None:
    inspector = Inspector(MEGAPIXELS_100, None)
    inspector.feed(b"")
    with pytest.raises(EmptyBody, match="send the image's bytes"):
        inspector.finish()


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"words and more words", "text"),
        (b"\xef\xbb\xbf\n <SVG width='1'>", "SVG"),
        (b"%PDF-1.4", "PDF"),
        (b"push graphic-context", "ImageMagick"),
        (b"BM", "BMP"),
        (b"\0\0\0\x18ftypisom", "film"),
        (b"\1\2\3", "unknown kind"),
    ],
)
def test_a_stranger_is_named_and_told_what_is_taken(start: bytes, said: str) -> None:
    inspector = Inspector(MEGAPIXELS_100, None)
    with pytest.raises(UnknownType, match=rf"{said}.*JPEG, PNG, WebP, GIF, TIFF, HEIC and AVIF are taken"):
        inspector.feed(start.ljust(300, b" "))


def test_an_unknown_type_is_refused_within_the_first_bytes() -> None:
    inspector = Inspector(MEGAPIXELS_100, None)
    inspector.feed(b"x" * (TYPE_BYTES - 1))
    with pytest.raises(UnknownType):
        inspector.feed(b"x")


def test_a_short_body_of_unknown_type_is_refused_at_its_end() -> None:
    inspector = Inspector(MEGAPIXELS_100, None)
    inspector.feed(b"hello")
    with pytest.raises(UnknownType):
        inspector.finish()


@pytest.mark.parametrize("declared", ["image/png", "IMAGE/PNG ; q=1", "image/x-png", "image/apng", "image/webp"])
def test_a_declared_type_that_differs_is_refused(declared: str) -> None:
    inspector = Inspector(MEGAPIXELS_100, declared)
    with pytest.raises(TypeMismatch, match="but the bytes are image/jpeg"):
        inspector.feed(JPEG)


@pytest.mark.parametrize("declared", [None, "", "application/octet-stream", "Application/Octet-Stream; x=y"])
def test_no_type_or_octet_stream_declares_nothing(declared: str | None) -> None:
    assert outcome([JPEG], declared) is MediaType.JPEG
    assert outcome([PNG], declared) is MediaType.PNG


@pytest.mark.parametrize(
    ("declared", "meant"),
    [
        *((member.value, member) for member in MediaType),
        ("image/jpg", MediaType.JPEG),
        ("image/pjpeg", MediaType.JPEG),
        ("IMAGE/JPEG; charset=binary", MediaType.JPEG),
        ("image/x-png", MediaType.PNG),
        ("image/apng", MediaType.PNG),
        ("image/x-tiff", MediaType.TIFF),
        ("image/heif", MediaType.HEIC),
        ("image/heic-sequence", MediaType.HEIC),
        ("image/avif-sequence", MediaType.AVIF),
    ],
)
def test_every_name_of_a_type_we_take_is_understood(declared: str, meant: MediaType) -> None:
    assert declared_type(declared) is meant


@pytest.mark.parametrize(
    "declared",
    ["text/plain", "application/x-www-form-urlencoded", "image/svg+xml", "application/pdf", "image/*", "jpeg", "\0"],
)
def test_a_declared_type_that_is_not_taken_is_refused_before_any_byte(declared: str) -> None:
    with pytest.raises(UnknownType, match="for example image/jpeg, or application/octet-stream"):
        Inspector(MEGAPIXELS_100, declared)


def test_feeding_singly_past_the_head_stays_cheap() -> None:
    inspector = Inspector(MEGAPIXELS_100, None)
    inspector.feed(JPEG)
    started = time.process_time()
    for _ in range(2 * HEAD_BYTES):
        inspector.feed(b"\xff")
    assert time.process_time() - started < 1.0
    assert inspector.finish() is MediaType.JPEG


@given(body=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=5))
def test_random_bytes_end_in_a_type_or_a_refusal_wherever_they_are_cut(body: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(body)]
    chunks = [body[start:end] for start, end in pairwise(edges)]
    assert outcome(chunks) is outcome([body])


@given(data=st.data())
def test_a_mutated_header_ends_the_same_however_it_is_cut(header: Header, data: st.DataObject) -> None:
    _, make, _ = header
    body = bytearray(make(640, 480))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert outcome(singly(bytes(body))) is outcome([bytes(body)])
