"""Seccomp filters against the system calls that no decoder needs, and those that no step of a user's own does.

A list of what is denied and not of what is allowed: the calls that glib, the allocator and the interpreter make differ
from release to release, and a cage that breaks with them would be taken off. Denied calls fail with EPERM; `clone3`,
whose flags a filter cannot see, fails with ENOSYS, at which the C library falls back to `clone`.

Numbers from asm/unistd_64.h (x86-64) and asm-generic/unistd.h (arm64).
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Mapping, Sequence

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_ERRNO = 0x00050000

# BPF: load a 32-bit word of seccomp_data, compare, return (linux/bpf_common.h).
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16

_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
_X32_BIT = 0x40000000
_CLONE_THREAD = 0x00010000
_CLONE_NEW = 0x7E020000  # namespaces of any kind
_CLONE = (56, 220)
_CLONE3 = 435
_SOCKET = (41, 198)

_FAMILIES_OF_STEPS = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
"""Kinds of sockets that a namespace of networks holds back. Others know none: over AF_VSOCK a machine's host is spoken
to from within any."""

_DENIED: dict[str, tuple[int | None, int | None]] = {
    # name: (x86-64, arm64); None where there is no such call
    "open": (2, None),
    "creat": (85, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "open_by_handle_at": (304, 265),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    "kill": (62, 129),
    "tkill": (200, 130),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "memfd_create": (319, 279),
    "setrlimit": (160, 164),
    "prlimit64": (302, 261),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "chown": (92, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}

_DENIED_TO_STEPS: dict[str, tuple[int | None, int | None]] = {
    # Memory that no limit of a process counts.
    "shmget": (29, 194),
    "msgget": (68, 186),
    "memfd_secret": (447, 447),
}
_STEPS_NEED = frozenset(
    {
        *("open", "creat", "openat", "openat2", "chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat"),
        *("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4"),
        *("execve", "execveat", "fork", "vfork", "kill", "tkill", "setrlimit", "prlimit64", "pidfd_open"),
        "pidfd_send_signal",
    }
)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def deny_dangerous_calls() -> None:
    """Install the filter for this thread and those it starts. Needs no_new_privs.

    Raises:
        OSError: the kernel refuses, or this is another architecture.
    """
    # A thread may be started, a process not.
    _install(_DENIED, [_instruction(_ANY_BIT, _CLONE_THREAD, otherwise=1), _ALLOWED, _REFUSED])


def deny_to_steps() -> None:
    """The same for a step of the user's own, which may open files and start programs, but enter no namespace.

    Raises:
        OSError: as above.
    """
    denied = {name: numbers for name, numbers in _DENIED.items() if name not in _STEPS_NEED}
    clone = [_instruction(_ANY_BIT, _CLONE_NEW, otherwise=1), _REFUSED, _ALLOWED]
    _install(denied | _DENIED_TO_STEPS, clone, _FAMILIES_OF_STEPS)


def _install(
    denied: Mapping[str, tuple[int | None, int | None]], clone: Sequence[bytes], families: Sequence[int] = ()
) -> None:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no filter for {machine}")
    architecture, column = _ARCHITECTURES[machine]
    numbers = [found for both in denied.values() if (found := both[column]) is not None]
    code = _assemble(architecture, column, numbers, clone, families)
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _assemble(
    architecture: int, column: int, denied: Sequence[int], clone: Sequence[bytes], families: Sequence[int]
) -> bytes:
    """`clone`: what is made of clone's flags, which are loaded for it. `families`: of sockets, those let through;
    none where `socket` is denied anyway."""
    code = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, architecture, jump=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
        # x32 calls come under the same architecture with this bit set, past every comparison below.
        _instruction(_AT_LEAST, _X32_BIT, otherwise=1),
        _instruction(_RETURN, _KILL),
        _instruction(_EQUAL, _CLONE3, otherwise=1),
        _instruction(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    for number in denied:
        code += [_instruction(_EQUAL, number, otherwise=1), _REFUSED]
    if families:
        allowed = [part for family in families for part in (_instruction(_EQUAL, family, otherwise=1), _ALLOWED)]
        checked = [_instruction(_LOAD, _FIRST_ARGUMENT), *allowed, _REFUSED]
        code += [_instruction(_EQUAL, _SOCKET[column], otherwise=len(checked)), *checked]
    code += [
        _instruction(_EQUAL, _CLONE[column], jump=1),
        _ALLOWED,
        _instruction(_LOAD, _FIRST_ARGUMENT),
        *clone,
    ]
    return b"".join(code)


def _instruction(operation: int, value: int, jump: int = 0, otherwise: int = 0) -> bytes:
    """`jump` and `otherwise`: how many instructions to skip if the comparison holds, or does not."""
    return struct.pack("=HBBI", operation, jump, otherwise, value)


_ALLOWED = _instruction(_RETURN, _ALLOW)
_REFUSED = _instruction(_RETURN, _ERRNO | errno.EPERM)
