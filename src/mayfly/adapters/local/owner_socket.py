"""`DATA/owner.sock`: where the owner of a data folder is asked by programs of the same user on the same machine.

Its authentication is the file: mode 0600 in a folder of mode 0700. Nothing but the owner binds it, under the folder's
lock, so whatever stands there at a start is what a killed owner left.
"""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mayfly.adapters.local.durable import opening
from mayfly.model.errors import Misconfigured

NAME = "owner.sock"

_BACKLOG = 64
_LONGEST_PATH = 100
"""Bytes. A socket's address has room for 108 on Linux and for 104 on macOS (`sun_path`), with a zero at the end."""
_DESCRIPTORS = Path("/proc/self/fd")


@contextmanager
def listening(folder: Path) -> Iterator[socket.socket]:
    """The owner's listening socket, in place while this lasts. For the holder of the folder's lock alone.

    Raises:
        Misconfigured: another kind of file stands there, or the path is too long for this system.
    """
    path = folder / NAME
    with opening("--data"):
        if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
            raise Misconfigured(f"{path} is in the way of the owner's socket: move it elsewhere")
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short_path(folder) as short:
                listener.bind(short)
            path.chmod(0o600)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    try:
        yield listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


@contextmanager
def short_path(folder: Path) -> Iterator[str]:
    """A path of the folder's socket that an address has room for, good while this lasts.

    Where the real one is too long, it goes by a descriptor of the folder.

    Raises:
        Misconfigured: it is too long, and this system (macOS) has no such paths.
        OSError: the folder cannot be opened.
    """
    path = folder.resolve() / NAME
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    if not _DESCRIPTORS.exists():
        raise Misconfigured(f"the path of {path} is over {_LONGEST_PATH} bytes, too long for a socket: shorten --data")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield str(_DESCRIPTORS / str(descriptor) / NAME)
    finally:
        os.close(descriptor)
