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


def test_what_it_held_is_wiped() -> None:
    size = 150_000
    with SharedBody.create(200_000) as body:
        body.view[:] = b"x" * 200_000
        with body.holding(size) as part:
            assert (body.size, len(part)) == (size, size)
        assert (body.size, bytes(body.view)) == (200_000, bytes(size) + b"x" * 50_000)


@linux_only
def test_once_frozen_it_can_be_read_and_not_written() -> None:
    with SharedBody.create(10) as body:
        body.freeze()
        body.view[:3] = b"abc"
        assert os.pread(body.fileno(), 10, 0) == b"abc" + bytes(7)
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
