"""The cage a worker locks itself into before it sees a stranger's byte.

Layers, each held by another mechanism, so that one that a platform lacks leaves the others. `enter` reports which are
in force. On macOS only the rlimits are: a worker taken over by a hostile image is then a process of yours, though one
without keys or stores; run Mayfly in a Linux container where that is not enough.
"""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable

from mayfly.processing import landlock, seccomp

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000

# Three standard ones, two for an image, and what glib and the interpreter open for themselves.
_MOST_DESCRIPTORS = 24


def enter(memory: int) -> dict[str, bool]:
    """Lock this process in for good. Everything to be imported must have been, and no second thread may run yet.

    Args:
        memory: bytes of address space it may have.

    Returns: each layer, and whether it is in force.
    """
    layers: dict[str, Callable[[], None]] = {
        "memory": lambda: _limit(resource.RLIMIT_AS, memory),
        "no_file_grows": lambda: _limit(resource.RLIMIT_FSIZE, 0),
        "no_core_dump": lambda: _limit(resource.RLIMIT_CORE, 0),
        "few_descriptors": lambda: _limit(resource.RLIMIT_NOFILE, _MOST_DESCRIPTORS),
    }
    if sys.platform == "linux":
        layers |= {
            # Before those below: entering a user namespace can undo what prctl set.
            "no_network": _leave_network,
            "no_new_privileges": lambda: _prctl(_PR_SET_NO_NEW_PRIVS, 1),
            "not_traceable": lambda: _prctl(_PR_SET_DUMPABLE, 0),
            "dies_with_parent": lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
            "no_files": landlock.deny_everything,
            "no_dangerous_calls": seccomp.deny_dangerous_calls,
        }
    return {name: _in_force(lock) for name, lock in layers.items()}


def _in_force(lock: Callable[[], None]) -> bool:
    try:
        lock()
    except (OSError, ValueError, AttributeError):
        return False
    return True


def _limit(kind: int, value: int) -> None:
    resource.setrlimit(kind, (value, value))


def _leave_network() -> None:
    """Into namespaces of its own, in which there is no network but a loopback that is down."""
    try:
        _unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC)
    except OSError:
        _unshare(_CLONE_NEWNET | _CLONE_NEWIPC)  # where user namespaces are refused, but we are root


def _unshare(flags: int) -> None:
    _check(ctypes.CDLL(None, use_errno=True).unshare(flags))


def _prctl(option: int, value: int) -> None:
    _check(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0))


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
