"""The system calls behind the walls, which Python has no names for. Linux alone.

Numbers and flags from linux/mount.h, linux/sched.h, linux/prctl.h, linux/capability.h and asm-generic/unistd.h.
"""

import ctypes
import os
import platform

NEW_MOUNTS = 0x00020000
NEW_UTS = 0x04000000
NEW_IPC = 0x08000000
NEW_USER = 0x10000000
NEW_PIDS = 0x20000000
NEW_NETWORK = 0x40000000

READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC = 1, 2, 4, 8
BIND, RECURSIVE, PRIVATE, REMOUNT = 4096, 16384, 1 << 18, 32
_DETACH = 2

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR = 442  # the same on every architecture
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63
_EINVAL = 22
_SIGKILL = 9

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns"))


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def unshare(flags: int) -> None:
    """Raises:
    OSError: as every function here, with what the kernel said.
    """
    _check(_libc.unshare(flags))


def enter_namespace(descriptor: int, kind: int) -> None:
    _check(_libc.setns(descriptor, kind))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    _check(
        _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()), target
    )


def lock_mounts(path: str, flags: int) -> None:
    """Add these flags to a mount and all beneath it. (The first ones have the same numbers as for `mount`.)"""
    attributes = _MountAttributes(set=flags)
    number = ctypes.c_long(_MOUNT_SETATTR)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _check(_libc.syscall(number, _AT_FDCWD, path.encode(), _AT_RECURSIVE, ctypes.byref(attributes), size), path)


def change_root(path: str) -> None:
    """Make a mount the root, and let go of the one before."""
    os.chdir(path)
    _check(_libc.syscall(ctypes.c_long(_PIVOT_ROOT[platform.machine()]), b".", b"."))
    _check(_libc.umount2(b".", _DETACH))
    os.chdir("/")


def die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def forbid_tracing() -> None:
    """Nor can its memory be read by others of the same user, or dumped."""
    _prctl(_PR_SET_DUMPABLE, 0)


def forbid_new_privileges() -> None:
    """No program started from here on gains any. To be called while there still are some."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    for number in range(_LAST_CAPABILITY + 1):
        try:
            _prctl(_PR_CAPBSET_DROP, number)
        except OSError as error:
            if error.errno == _EINVAL:  # past the last one this kernel knows
                break
            raise


def drop_privileges() -> None:
    """Every capability this process has."""
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _check(_libc.capset(ctypes.byref(header), ctypes.byref(nothing)))


def _prctl(option: int, value: int) -> None:
    nothing = ctypes.c_ulong(0)
    _check(_libc.prctl(option, ctypes.c_ulong(value), nothing, nothing, nothing))


def _check(result: int, path: str | None = None) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
