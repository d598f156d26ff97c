"""Memory two processes share: of a fixed size, and gone when closed."""

import mmap
import os
import sys

import pytest

from mayfly.processing.shared_body import SharedBody

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="seals are Linux's")


def test_what_is_written_is_there() -> None:
    with SharedBody.create(10) as body:
        body.view[2:5] = b"abc"
        assert (body.size, bytes(body.view)) == (10, b"\0\0abc\0\0\0\0\0")


def test_what_is_written_past_the_map_is_there_too() -> None:
    with SharedBody.create(10) as body:
        body.write_at(2, b"abc")
        assert bytes(body.view) == b"\0\0abc\0\0\0\0\0"


@linux_only
def test_what_is_written_past_its_end_is_refused() -> None:
    with SharedBody.create(10) as body, pytest.raises(PermissionError):
        body.write_at(8, b"abc")


@linux_only
def test_once_frozen_it_can_be_read_and_not_written() -> None:
    with SharedBody.create(10) as body:
        body.freeze()
        assert os.pread(body.fileno(), 10, 0) == bytes(10)
        with pytest.raises(PermissionError):
            os.pwrite(body.fileno(), b"x", 0)
        with pytest.raises(PermissionError):
            mmap.mmap(body.fileno(), 10)


@linux_only
@pytest.mark.parametrize("size", [0, 5, 100])
def test_nobody_can_change_its_size(size: int) -> None:
    with SharedBody.create(10) as body, pytest.raises(PermissionError):
        os.ftruncate(body.fileno(), size)


@linux_only
def test_it_has_no_name_on_any_disk() -> None:
    with SharedBody.create(10) as body:
        assert os.readlink(f"/proc/self/fd/{body.fileno()}").startswith("/memfd:")


def test_an_empty_one_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        SharedBody.create(0)


def test_closing_gives_the_descriptor_back_and_may_be_repeated() -> None:
    body = SharedBody.create(10)
    descriptor = body.fileno()
    body.close()
    body.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    with pytest.raises(ValueError, match="released"):
        body.view[0]


def test_a_part_still_held_does_not_keep_it_from_closing() -> None:
    body = SharedBody.create(10)
    part = body.view[:3]
    body.close()
    assert bytes(part) == b"\0\0\0"


def test_making_one_that_cannot_be_leaves_nothing_open() -> None:
    before = len(os.listdir("/dev/fd"))
    with pytest.raises((OSError, ValueError, OverflowError)):
        SharedBody.create(1 << 62)
    assert len(os.listdir("/dev/fd")) == before
