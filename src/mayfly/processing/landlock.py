"""Landlock: an unprivileged process gives up the file system, TCP and signals to others (Linux 5.13 and later).

Numbers from linux/landlock.h; `man 7 landlock`.
"""

import ctypes
import os

_CREATE_RULESET = 444  # the same on every architecture
_RESTRICT_SELF = 446
_ABI_VERSION = 1  # flag of landlock_create_ruleset

# Rights to the file system by ABI: what the first one knew, then REFER, TRUNCATE and IOCTL_DEV.
_FILES_AT_FIRST = (1 << 13) - 1
_FILES_SINCE = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_NETWORK_SINCE = 4
_NETWORK = 0b11  # bind and connect TCP
_SCOPE_SINCE = 6
_SCOPE = 0b11  # abstract unix sockets, signals


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scope", ctypes.c_uint64))


def deny_everything() -> None:
    """Handle every right the kernel knows and grant none: nothing can be opened, made, listed or removed by name.
    Descriptors already open stay usable. Binds this thread and those it starts.

    Raises:
        OSError: the kernel has no Landlock, or it is switched off.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    abi = _checked(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ABI_VERSION))
    files = _FILES_AT_FIRST
    for since, rights in _FILES_SINCE.items():
        files |= rights if abi >= since else 0
    ruleset = _Ruleset(files, _NETWORK if abi >= _NETWORK_SINCE else 0, _SCOPE if abi >= _SCOPE_SINCE else 0)
    # An older kernel refuses a longer structure only if what it does not know is not zero.
    descriptor = _checked(libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0))
    try:
        _checked(libc.syscall(_RESTRICT_SELF, descriptor, 0))
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
