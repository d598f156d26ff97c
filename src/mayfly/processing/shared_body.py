"""Bytes two processes share, and no disk sees."""

import contextlib
import fcntl
import mmap
import os
import secrets
import sys
from collections.abc import Iterator
from typing import Self

from mayfly.processing.closing import Closing

_ZEROS = bytes(64 * 1024)
_SEAL_FUTURE_WRITE = 0x0010  # fcntl(2), Linux 5.1; Python names it from 3.13 on


class SharedBody(Closing):
    """Shared memory of a fixed size; its maker may write it. Linux: a memfd, sealed so that nobody who holds the
    descriptor can change its size (a parent whose pages were cut off under it would die of SIGBUS). Elsewhere: POSIX
    shared memory without a name; macOS lets its size be set once only.

    Use as a context manager, or `close()` it: the memory is freed when the last view of it is gone.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._map = mmap.mmap(descriptor, size)
        self.view = memoryview(self._map)
        """All of it, writable."""
        self.size = size
        """How many bytes are in use."""

    @classmethod
    def create(cls, size: int) -> Self:
        """`size` bytes of zeros, 1 or more. Whoever holds the descriptor can write them until `freeze`."""
        if size < 1:
            raise ValueError("a shared body holds at least one byte")
        descriptor = _open_memory()
        try:
            os.ftruncate(descriptor, size)
            body = cls(descriptor, size)
        except BaseException:
            os.close(descriptor)
            raise
        if sys.platform == "linux":
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        return body

    def freeze(self) -> None:
        """From here on it is written through `view` alone: whoever is given the descriptor can read and not write.
        (Linux 5.1 and later.)"""
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, _SEAL_FUTURE_WRITE)

    @property
    def room(self) -> int:
        """The most bytes it can hold."""
        return len(self._map)

    @contextlib.contextmanager
    def holding(self, size: int) -> Iterator[memoryview]:
        """Use the first `size` bytes, and those only; they are zeros before and after."""
        part, self.size = self.view[:size], size
        try:
            yield part
        finally:
            part.release()
            for start in range(0, size, len(_ZEROS)):
                self.view[start : min(start + len(_ZEROS), size)] = _ZEROS[: size - start]
            self.size = self.room

    def fileno(self) -> int:
        """The descriptor to hand to a worker. -1 once closed."""
        return self._descriptor

    def close(self) -> None:
        """Give the memory back. Harmless when repeated."""
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        self.view.release()
        with contextlib.suppress(BufferError):  # someone still holds a part of the view: it goes when they let go
            self._map.close()


if sys.platform == "linux":

    def _open_memory() -> int:
        return os.memfd_create("mayfly", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)

else:
    import _posixshmem

    def _open_memory() -> int:
        name = f"/mayfly-{secrets.token_hex(8)}"
        descriptor = _posixshmem.shm_open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode=0o600)
        _posixshmem.shm_unlink(name)
        return descriptor
