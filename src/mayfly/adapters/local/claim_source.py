"""Claimed files on the local disk, reached name by name from their prefix, following no link.

A prefix is the operator's own word, so the way to it may lead over links; beneath it strangers write. Each folder is
opened in the one before it (openat with O_NOFOLLOW), so nothing that is renamed meanwhile leads elsewhere. A file
with a second name is refused: removing the one would leave the other.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mayfly.model.claim import Claim, ClaimPrefix, Place, place_of
from mayfly.model.errors import ClaimMismatch, ClaimMissing, ClaimRefused, Unavailable
from mayfly.ports.claim_source import CHUNK_BYTES, ClaimedFile

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Non-blocking: whatever took the file's place since it was looked at, opening it does not wait.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NOT_OURS_TO_READ = frozenset(
    {
        errno.ELOOP,
        errno.EMLINK,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EACCES,
        errno.EPERM,
        errno.ENXIO,
        errno.ENODEV,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EILSEQ,
        errno.EOPNOTSUPP,
    }
)
"""What the system says of links, of what is no folder or no file, of names it does not take, and of what is closed to
us: it will say the same again. Everything else may pass."""


class LocalClaimSource:
    """Implements `ports.claim_source.ClaimSource`."""

    def __init__(self, prefixes: Sequence[ClaimPrefix]) -> None:
        self._prefixes = tuple(prefixes)

    def open(self, claim: Claim) -> ClaimedFile:
        place = place_of(claim.uri, self._prefixes)
        with _passing("open the folder of claim checks"):
            folder = os.open(place.prefix.folder, _FOLDER)
        try:
            with _told():
                for name in place.names[:-1]:
                    inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                    os.close(folder)
                    folder = inner
                return _Opened(folder, _open_plain(folder, place.names[-1], claim.size), place, claim.size)
        except BaseException:
            os.close(folder)
            raise


class _Opened:
    """Owns both descriptors: the file's, and that of the folder that holds its name."""

    def __init__(self, folder: int, descriptor: int, place: Place, size: int) -> None:
        self.external = place.prefix.external
        self._folder = folder
        self._descriptor = descriptor
        self._name = place.names[-1]
        self._size = size
        self._open = True

    def chunks(self) -> Iterator[bytes]:
        offset = 0
        while chunk := self._read(offset):
            offset += len(chunk)
            if offset > self._size:
                break
            yield chunk
        if offset != self._size:
            raise ClaimMismatch("the claimed file changed while it was read")

    def remove(self) -> None:
        if self.external:
            return
        with _passing("remove a claimed file"):
            try:
                standing = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
            except FileNotFoundError:
                return
            if _identity(standing) == _identity(os.fstat(self._descriptor)):
                os.unlink(self._name, dir_fd=self._folder)
                os.fsync(self._folder)

    def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._descriptor)
            os.close(self._folder)

    def _read(self, offset: int) -> bytes:
        with _passing("read a claimed file"):
            return os.pread(self._descriptor, CHUNK_BYTES, offset)


def _open_plain(folder: int, name: str, size: int) -> int:
    # Looked at before it is opened: opening a device may do something.
    seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
    _refuse_unlike(seen, size)
    descriptor = os.open(name, _FILE, dir_fd=folder)
    try:
        _refuse_another(os.fstat(descriptor), seen)
        _refuse_unlike(os.fstat(descriptor), size)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_unlike(found: os.stat_result, size: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ClaimRefused("the claim check points at what is no plain file")
    if found.st_nlink != 1:
        raise ClaimRefused("the claimed file has more names than one; removing it would leave the others")
    if found.st_size != size:
        raise ClaimMismatch(f"the claim check says {size} bytes, and the file has {found.st_size}")


def _refuse_another(found: os.stat_result, seen: os.stat_result) -> None:
    if _identity(found) != _identity(seen):
        raise ClaimMismatch("the claimed file was replaced while it was opened")


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


@contextmanager
def _told() -> Iterator[None]:
    """What the system says of a stranger's path. No text of it is passed on: it may name a person."""
    try:
        yield
    except FileNotFoundError:
        raise ClaimMissing("nothing stands where the claim check points") from None
    except OSError as fault:
        if fault.errno in _NOT_OURS_TO_READ:
            raise ClaimRefused("the claim check points at what cannot be read as a plain file") from None
        raise Unavailable(f"a claimed file cannot be opened now: {fault.strerror}") from None


@contextmanager
def _passing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise Unavailable(f"Mayfly cannot {what} now: {fault.strerror}") from None
