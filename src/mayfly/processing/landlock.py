"""Landlock: an unprivileged process gives up the file system, TCP and signals to others (Linux 5.13 and later).

Numbers from linux/landlock.h; `man 7 landlock`.
"""

import ctypes
import os
import stat
from collections.abc import Mapping, Sequence

_CREATE_RULESET = 444  # the same on every architecture
_ADD_RULE = 445
_RESTRICT_SELF = 446
_PATH_BENEATH = 1
_ABI_VERSION = 1  # flag of landlock_create_ruleset

# Rights to the file system by ABI: what the first one knew, then REFER, TRUNCATE and IOCTL_DEV.
_FILES_AT_FIRST = (1 << 13) - 1
_FILES_SINCE = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_NETWORK_SINCE = 4
_NETWORK = 0b11  # bind and connect TCP
_SCOPE_SINCE = 6
_SCOPE = 0b11  # abstract unix sockets, signals


# What only makes sense for directories is left out of a rule for a file.
_READ = 0b1101  # execute, read files, list directories
_WRITE = 0b10
_OF_FILES = 0b111 | 1 << 14 | 1 << 15


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scope", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


def deny_everything() -> None:
    """Handle every right the kernel knows and grant none: nothing can be opened, made, listed or removed by name.
    Descriptors already open stay usable. Binds this thread and those it starts.

    Raises:
        OSError: the kernel has no Landlock, or it is switched off.
    """
    _restrict({}, network=False)


def allow(readable: Sequence[str], devices: Sequence[str], writable: Sequence[str], *, network: bool) -> None:
    """Grant reading and executing beneath the first paths, opening for writing beneath the second, everything beneath
    the third, and nothing else. Binds this thread and those it starts.

    Raises:
        OSError: the kernel has no Landlock, or it is switched off, or a path is not there.
    """
    rights = dict.fromkeys(readable, _READ)
    rights |= dict.fromkeys(devices, _READ | _WRITE)
    rights |= dict.fromkeys(writable, ~0)
    _restrict(rights, network=network)


def _restrict(rights: Mapping[str, int], *, network: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    abi = _checked(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ABI_VERSION))
    files = _FILES_AT_FIRST
    for since, added in _FILES_SINCE.items():
        files |= added if abi >= since else 0
    handled_network = _NETWORK if abi >= _NETWORK_SINCE and not network else 0
    ruleset = _Ruleset(files, handled_network, _SCOPE if abi >= _SCOPE_SINCE else 0)
    # An older kernel refuses a longer structure only if what it does not know is not zero.
    descriptor = _checked(libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0))
    try:
        for path, granted in rights.items():
            _add(libc, descriptor, path, granted & files)
        _checked(libc.syscall(_RESTRICT_SELF, descriptor, 0))
    finally:
        os.close(descriptor)


def _add(libc: ctypes.CDLL, ruleset: int, path: str, granted: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            granted &= _OF_FILES
        rule = _Beneath(granted, parent)
        _checked(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(parent)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
