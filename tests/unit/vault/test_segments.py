"""The sealed format: what was sealed opens, and nothing else does."""

from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.model.errors import Unopenable
from mayfly.vault.segments import (
    HEADER_BYTES,
    MAGIC,
    SALT_BYTES,
    SEALED_SEGMENT_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
    SegmentCipher,
    plain_size,
    sealed_size,
)

KEY = bytes(range(32))
ADDRESS = "original/20261123T0229Z/01a2065a-d55f-89d8-84fa-bfb8bd6a5821/original"
SIZES = (0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES, 4 * SEGMENT_BYTES + 7)


def plain_of(size: int) -> bytes:
    """Bytes of which no two segments are alike."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)] or [b""]


def seal(plain: bytes, key: bytes = KEY, address: str = ADDRESS) -> bytes:
    cipher, header = SegmentCipher.fresh(key, address)
    segments = cut(plain, SEGMENT_BYTES)
    last = len(segments) - 1
    return header + b"".join(cipher.seal(index, part, last=index == last) for index, part in enumerate(segments))


def unseal(sealed: bytes, key: bytes = KEY, address: str = ADDRESS) -> bytes:
    """As a reader does it: the size says how many segments there are."""
    size = plain_size(len(sealed))
    cipher = SegmentCipher.of_header(key, address, sealed[:HEADER_BYTES])
    segments = cut(sealed[HEADER_BYTES:], SEALED_SEGMENT_BYTES)
    last = len(segments) - 1
    plain = b"".join(cipher.open(index, part, last=index == last) for index, part in enumerate(segments))
    assert len(plain) == size
    return plain


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_opens(size: int) -> None:
    sealed = seal(plain_of(size))
    assert len(sealed) == sealed_size(size)
    assert unseal(sealed) == plain_of(size)


@given(st.integers(0, 10 * SEGMENT_BYTES))
def test_the_two_sizes_are_inverse_of_each_other(size: int) -> None:
    assert plain_size(sealed_size(size)) == size


@given(st.integers(0, 3 * SEALED_SEGMENT_BYTES))
def test_a_size_that_nothing_sealed_has_is_refused(size: int) -> None:
    try:
        plain = plain_size(size)
    except Unopenable:
        possible = {sealed_size(near) for near in range(max(0, size - HEADER_BYTES - 4 * TAG_BYTES), size)}
        assert size not in possible
    else:
        assert sealed_size(plain) == size


@pytest.mark.parametrize("whole", [1, 2])
@pytest.mark.parametrize("rest", range(1, TAG_BYTES + 1))
def test_a_last_segment_that_holds_no_byte_after_whole_ones_is_refused(whole: int, rest: int) -> None:
    with pytest.raises(Unopenable):
        plain_size(HEADER_BYTES + whole * SEALED_SEGMENT_BYTES + rest)


@pytest.mark.parametrize("size", range(HEADER_BYTES + TAG_BYTES))
def test_less_than_a_header_and_a_tag_is_no_sealed_object(size: int) -> None:
    with pytest.raises(Unopenable):
        plain_size(size)


@pytest.mark.parametrize("size", [0, 1, 300])
def test_any_flipped_bit_is_refused(size: int) -> None:
    sealed = seal(plain_of(size))
    for place in range(len(sealed)):
        for bit in range(8):
            altered = bytearray(sealed)
            altered[place] ^= 1 << bit
            with pytest.raises(Unopenable):
                unseal(bytes(altered))


@given(st.integers(0, sealed_size(2 * SEGMENT_BYTES + 9) - 1), st.integers(0, 7))
def test_any_flipped_bit_of_several_segments_is_refused(place: int, bit: int) -> None:
    altered = bytearray(_SEALED_ONCE)
    altered[place] ^= 1 << bit
    with pytest.raises(Unopenable):
        unseal(bytes(altered))


_SEALED_ONCE = seal(plain_of(2 * SEGMENT_BYTES + 9))

Rearrange = Callable[[list[bytes]], Iterable[bytes]]


@pytest.mark.parametrize(
    "rearrange",
    [
        pytest.param(lambda s: s[:-1], id="the last cut away"),
        pytest.param(lambda s: s[1:], id="the first cut away"),
        pytest.param(lambda s: [s[0], s[2]], id="one cut out of the middle"),
        pytest.param(lambda s: [s[1], s[0], s[2]], id="two swapped"),
        pytest.param(lambda s: [s[0], s[1], s[1], s[2]], id="one repeated"),
        pytest.param(lambda s: [s[2], s[0], s[1]], id="the last moved to the front"),
        pytest.param(lambda s: [*s, s[-1]], id="the last repeated"),
        pytest.param(lambda s: [], id="none left"),
    ],
)
def test_segments_that_were_rearranged_are_refused(rearrange: Rearrange) -> None:
    sealed = seal(plain_of(3 * SEGMENT_BYTES))
    segments = cut(sealed[HEADER_BYTES:], SEALED_SEGMENT_BYTES)
    assert len(segments) == 3
    with pytest.raises(Unopenable):
        unseal(sealed[:HEADER_BYTES] + b"".join(rearrange(segments)))


def test_a_segment_of_another_write_of_the_same_bytes_is_refused() -> None:
    one, other = seal(plain_of(2 * SEGMENT_BYTES)), seal(plain_of(2 * SEGMENT_BYTES))
    boundary = HEADER_BYTES + SEALED_SEGMENT_BYTES
    with pytest.raises(Unopenable):
        unseal(one[:boundary] + other[boundary:])
    with pytest.raises(Unopenable):
        unseal(other[:HEADER_BYTES] + one[HEADER_BYTES:])


@pytest.mark.parametrize("removed", [1, TAG_BYTES, SEGMENT_BYTES, SEALED_SEGMENT_BYTES - 1])
def test_a_cut_end_is_refused(removed: int) -> None:
    with pytest.raises(Unopenable):
        unseal(_SEALED_ONCE[:-removed])


def test_another_address_and_another_key_open_nothing() -> None:
    sealed = seal(plain_of(10))
    with pytest.raises(Unopenable):
        unseal(sealed, address=ADDRESS.replace("original/", "rendition/", 1))
    with pytest.raises(Unopenable):
        unseal(sealed, key=KEY[::-1])
    assert unseal(sealed) == plain_of(10)


@pytest.mark.parametrize("header", [b"", b"MFS1", b"MFS2" + bytes(HEADER_BYTES - 4), MAGIC + bytes(HEADER_BYTES)])
def test_a_header_of_another_format_or_length_is_refused(header: bytes) -> None:
    with pytest.raises(Unopenable, match="no sealed object of a format"):
        SegmentCipher.of_header(KEY, ADDRESS, header)


def test_two_writes_of_the_same_bytes_share_nothing() -> None:
    writes = [seal(plain_of(SEGMENT_BYTES + 5)) for _ in range(8)]
    salts = {write[len(MAGIC) : len(MAGIC) + SALT_BYTES] for write in writes}
    prefixes = {write[len(MAGIC) + SALT_BYTES : HEADER_BYTES] for write in writes}
    assert len(salts) == len(prefixes) == len(writes)
    for one, other in pairwise(writes):
        stretches = {one[start : start + 16] for start in range(HEADER_BYTES, len(one), 16)}
        assert not [stretch for stretch in stretches if stretch in other[HEADER_BYTES:]]


def test_nothing_of_the_plain_bytes_stands_in_the_sealed_ones() -> None:
    plain = plain_of(2 * SEGMENT_BYTES)
    sealed = seal(plain)
    assert not [start for start in range(0, len(plain), 64) if plain[start : start + 16] in sealed]
