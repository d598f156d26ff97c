"""What the first bytes tell, format by format, and what hostile ones cannot do."""

import struct
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.model.formats import HEAD_BYTES, dimensions, sniff
from mayfly.model.image import MediaType

Header = tuple[MediaType, Callable[[int, int], bytes], int]


def box(kind: bytes, content: bytes, size: int | None = None) -> bytes:
    return struct.pack(">I4s", 8 + len(content) if size is None else size, kind) + content


def ftyp(*brands: bytes) -> bytes:
    return box(b"ftyp", brands[0] + b"\0" * 4 + b"".join(brands[1:]))


def ispe(width: int, height: int) -> bytes:
    return box(b"ispe", struct.pack(">III", 0, width, height))


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    start = b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0)
    return start + b"\x21\xf9\4\0\0\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, *frame, 0)


def test_each_format_is_known_and_measured(header: Header) -> None:
    media_type, make, _ = header
    head = make(640, 480)
    assert sniff(head) is media_type
    assert dimensions(media_type, head) == (640, 480)


def test_the_largest_sizes_are_read(header: Header) -> None:
    media_type, make, largest = header
    assert dimensions(media_type, make(largest, largest - 1)) == (largest, largest - 1)


def test_a_head_cut_anywhere_tells_the_truth_or_nothing(header: Header) -> None:
    media_type, make, _ = header
    whole = make(640, 480)
    answers = [sniff(whole[:length]) for length in range(len(whole) + 1)]
    known = answers.index(media_type)
    assert answers[:known] == [None] * known
    assert set(answers[known:]) == {media_type}
    sizes = [dimensions(media_type, whole[:length]) for length in range(len(whole) + 1)]
    assert {size for size in sizes if size} <= {(640, 480), (512, 480)}  # the second is a tile, seen before its whole


@pytest.mark.parametrize(
    "head",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg/>",
        b"%PDF-1.7\n",
        b"push graphic-context\nimage over 0,0 0,0 'https://example.com/x.jpg'\npop graphic-context",
        b"<msl><read filename='/etc/passwd'/></msl>",
        b"just words, named photo.jpg",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0",
        b"\0\0\1\0\1\0\x10\x10",
        b"8BPS\0\1",
        b"\xff\x0a\xfa\x1f",
        b"\0\0\0\x0cJXL \r\n\x87\n",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        ftyp(b"isom", b"mp42", b"avif"),
        ftyp(b"qt  ", b"heic"),
        ftyp(b"crx ", b"heix"),
        ftyp(b"mif1", b"miaf"),
        b"PK\3\4" + b"\0" * 60,
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"RIFF\x24\0\0\0WEBPJUNK",
        b"GIF88a" + b"\0" * 20,
        b"II*\1" + b"\0" * 20,
        b"\x89PNG\n\x1a\n" + b"\0" * 20,
        b"",
    ],
)
def test_what_is_no_image_of_ours_is_unknown(head: bytes) -> None:
    assert sniff(head) is None
    assert sniff(head + b"\0" * 1000) is None


def test_a_jpeg_size_past_long_segments_is_found_and_past_the_head_is_not() -> None:
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 480, 640, 3) + b"\0" * 9
    icc = b"\xff\xe2" + struct.pack(">H", 0x7FFF) + b"\0" * 0x7FFD
    assert dimensions(MediaType.JPEG, b"\xff\xd8" + icc + frame) == (640, 480)
    assert dimensions(MediaType.JPEG, (b"\xff\xd8" + icc * 3 + frame)[:HEAD_BYTES]) is None


@pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC, 0xDB, 0xDD, 0xFE])
def test_a_jpeg_table_is_not_taken_for_a_frame(marker: int) -> None:
    table = bytes((0xFF, marker)) + struct.pack(">H", 9) + b"\x08\xff\xff\xff\xff\x01\0"
    frame = b"\xff\xc1" + struct.pack(">HBHHB", 8, 8, 2, 3, 0)
    assert dimensions(MediaType.JPEG, b"\xff\xd8" + table + frame) == (3, 2)


def test_a_gif_counts_with_the_larger_of_its_screen_and_its_first_frame() -> None:
    assert dimensions(MediaType.GIF, gif((10, 20), (50_000, 4))) == (50_000, 20)
    assert dimensions(MediaType.GIF, gif((65_535, 65_535), (1, 1))) == (65_535, 65_535)


def test_a_tiff_directory_past_the_head_tells_nothing() -> None:
    assert dimensions(MediaType.TIFF, b"II*\0" + struct.pack("<I", 4_000_000) + b"\0" * 100) is None


def test_a_tiff_width_written_twice_counts_with_the_larger() -> None:
    entries = ((256, 10), (256, 70_000), (257, 20))
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    head = b"II*\0" + struct.pack("<IH", 8, 3) + directory
    assert dimensions(MediaType.TIFF, head) == (70_000, 20)


def test_a_grid_image_is_as_large_as_its_whole() -> None:
    items = ispe(512, 512) + ispe(4032, 3024) + ispe(320, 240)
    meta = box(b"meta", b"\0" * 4 + box(b"iprp", box(b"ipco", items)))
    assert dimensions(MediaType.HEIC, ftyp(b"heic") + meta) == (4032, 3024)


def test_a_box_that_reaches_to_the_end_is_read() -> None:
    meta = box(b"meta", b"\0" * 4 + box(b"iprp", box(b"ipco", ispe(7, 9), 0), 0), 0)
    assert dimensions(MediaType.AVIF, ftyp(b"avif") + box(b"free", b"") + meta) == (7, 9)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_box_too_small_for_its_own_header_ends_the_walk(size: int) -> None:
    assert dimensions(MediaType.AVIF, ftyp(b"avif") + box(b"free", b"\0" * 8, size) + b"\0" * 64) is None


HOSTILE = {
    "jpeg restarts": b"\xff\xd8" + b"\xff\xd0" * HEAD_BYTES,
    "jpeg fill bytes": b"\xff\xd8" + b"\xff" * HEAD_BYTES,
    "jpeg shortest segments": b"\xff\xd8" + b"\xff\xe0\0\2" * HEAD_BYTES,
    "gif extensions": b"GIF89a" + b"\0" * 7 + b"\x21\xfe\0" * HEAD_BYTES,
    "gif shortest blocks": b"GIF89a" + b"\0" * 7 + b"\x21\xfe" + b"\1\0" * HEAD_BYTES,
    "tiff entries": b"II*\0\x08\0\0\0\xff\xff" + b"\0\1\4\0\1\0\0\0\1\0\0\0" * HEAD_BYTES,
    "bigtiff entries": b"II+\0\x08\0\0\0\x10" + b"\0" * 7 + b"\xff" * 8 + b"\0\1\4\0" * HEAD_BYTES,
    "heif boxes": ftyp(b"heic") + b"\0\0\0\x08free" * HEAD_BYTES,
    "heif metas": ftyp(b"heic") + b"\0\0\0\x0cmeta\0\0\0\0" * HEAD_BYTES,
    "heif endless": ftyp(b"heic") + b"\0\0\0\x01meta" + b"\xff" * HEAD_BYTES,
}


@pytest.mark.parametrize("head", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_head_costs_little(head: bytes) -> None:
    head = head[:HEAD_BYTES]
    started = time.process_time()
    media_type = sniff(head)
    assert media_type
    dimensions(media_type, head)
    assert time.process_time() - started < 0.25


@given(head=st.binary(max_size=400), media_type=st.sampled_from(MediaType))
def test_random_bytes_raise_nothing(head: bytes, media_type: MediaType) -> None:
    sniff(head)
    dimensions(media_type, head)


@given(data=st.data())
def test_a_mutated_header_raises_nothing(header: Header, data: st.DataObject) -> None:
    media_type, make, _ = header
    head = bytearray(make(640, 480))
    for _ in range(data.draw(st.integers(1, 6))):
        head[data.draw(st.integers(0, len(head) - 1))] = data.draw(st.sampled_from((0, 1, 8, 0x7F, 0xFF)))
    sniff(bytes(head))
    size = dimensions(media_type, bytes(head))
    assert size is None or min(size) >= 0
