"""What it takes for a file to survive a power cut: its bytes, and its name in its folder."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mayfly.model.errors import Misconfigured, StorageFull

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def storage_full_named() -> Iterator[None]:
    """Translate "no space left" into the tree."""
    try:
        yield
    except OSError as fault:
        if fault.errno in _NO_ROOM:
            raise StorageFull("the disk has no room left; free some, then try again") from fault
        raise


@contextmanager
def opening(option: str) -> Iterator[None]:
    """Translate what the system says of a folder or a file that cannot be opened; `option` is what names it."""
    try:
        with storage_full_named():
            yield
    except OSError as fault:
        what = fault.filename if fault.filename is not None else "a file of Mayfly's"
        why = "it is no folder" if isinstance(fault, FileExistsError | NotADirectoryError) else fault.strerror
        raise Misconfigured(f"{what} cannot be used ({why}); mend that, or give another {option}") from fault


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_folder(folder: Path) -> None:
    """Make a folder, its parents too, readable by the owner alone, and its name durable. One that is there stays as
    it is: it may be somebody else's."""
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_data(descriptor: int) -> None:
    """fdatasync where there is one, fsync elsewhere (macOS has none)."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def reserve(descriptor: int, size: int) -> None:
    """Give a file real blocks up to `size`, so that overwriting it in place needs no free space later.

    Raises:
        StorageFull: there is no room for them.
    """
    with storage_full_named():
        present = os.fstat(descriptor).st_size
        if present >= size:
            return
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, present, size - present)
        else:
            os.pwrite(descriptor, bytes(size - present), present)
        os.fsync(descriptor)
