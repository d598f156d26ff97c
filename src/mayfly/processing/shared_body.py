"""Bytes two processes share, and no disk sees."""

import contextlib
import fcntl
import mmap
import os
import secrets
import sys
from types import TracebackType
from typing import Self

_SEAL_FUTURE_WRITE = 0x0010  # fcntl(2), Linux 5.1; Python names it from 3.13 on


class SharedBody:
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

    @classmethod
    def create(cls, size: int) -> Self:
        """`size` bytes of zeros, 1 or more, which a worker can read and not write."""
        return cls._create(size, worker_writes=False)

    @classmethod
    def create_for_output(cls, size: int) -> Self:
        """As `create`, but a worker can write it."""
        return cls._create(size, worker_writes=True)

    @classmethod
    def _create(cls, size: int, *, worker_writes: bool) -> Self:
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
            if not worker_writes:
                with contextlib.suppress(OSError):  # an older kernel: the worker could write what it was given to read
                    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEAL_FUTURE_WRITE)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
        return body

    @property
    def size(self) -> int:
        return len(self._map)

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
