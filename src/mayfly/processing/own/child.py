"""The processes of one image behind the walls.

The first one of its namespace is ours: it empties a working folder, locks itself in for good, starts the user's code,
waits, and reports how that ended, with the facts if there are any. The user's code is its child. Neither is believed.
"""

import contextlib
import importlib.util
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from operator import attrgetter
from pathlib import Path
from typing import Any, NoReturn, Self

from mayfly.processing import landlock, seccomp
from mayfly.processing.own import linux, walls
from mayfly.processing.own.code import GROUP
from mayfly.processing.own.report import (
    FACTS,
    FAILED,
    LARGEST_FACTS,
    NOT_LOCKED,
    OUT_OF_MEMORY,
    REJECTED,
    REPORT,
    SCRATCH,
)
from mayfly.steps import RejectImage

_MOST_PROCESSES = 64  # threads count too
_MOST_DESCRIPTORS = 256
_MIB = 1024 * 1024
_CHUNK = 1024 * 1024

Function = Callable[[bytes, str, dict[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Image:
    """What a step is given: `descriptor` is memory that can be read and not written."""

    media_type: str
    size: int
    descriptor: int


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be run, within which bounds: `memory` and `scratch` in MiB."""

    memory: int
    scratch: int
    seconds: float
    network: bool
    parameters: Mapping[str, Any]
    command: list[str] | None
    function: Function | None

    @classmethod
    def load(cls, setup: Mapping[str, Any]) -> Self:
        """Import the function, if it is one. Whatever that raises is raised."""
        command = setup.get("command")
        return cls(
            setup["memory"],
            setup["scratch"],
            setup["seconds"],
            setup["network"],
            setup["parameters"],
            command,
            None if command else _load(setup["file"], setup["function"]),
        )


def _load(file: str | None, name: str) -> Function:
    if file is None:
        (found,) = entry_points(group=GROUP, name=name)
        function: Function = found.load()
    else:
        sys.path.insert(0, str(Path(file).parent))
        spec = importlib.util.spec_from_file_location(Path(file).stem, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[Path(file).stem] = module
        spec.loader.exec_module(module)
        function = attrgetter(name)(module)
    if not callable(function):
        raise TypeError(f"{name} is no function")
    return function


def main(work: Work, image: Image, result: int, report: int) -> NoReturn:
    """The first process of an image. It reports, or ends as `NOT_LOCKED` where a lock does not close."""
    status = NOT_LOCKED
    try:
        _lock_in(work)
        status = FAILED
        code = _start(work, image, result, report)
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        facts = _facts()
        os.write(report, REPORT.pack(code, facts is not None) + (facts or b""))
        status = 0
    finally:
        os._exit(status)


def rehearse(work: Work, refused: int) -> NoReturn:
    """Lock in a process that does nothing then. What keeps it from that is written to `refused`."""
    try:
        _lock_in(work)
    except BaseException as error:
        os.write(refused, str(error).encode())
    finally:
        os._exit(0)


def _lock_in(work: Work) -> None:
    """An empty working folder, no privileges, its limits, and only files of its own to write."""
    user, group = (walls.NOBODY, walls.NOBODY) if os.getuid() == 0 else (os.getuid(), os.getgid())
    walls.scratch(work.scratch, user, group)
    linux.forbid_new_privileges()
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    linux.drop_privileges()
    # After the change of user, which undoes them.
    linux.forbid_tracing()
    linux.die_with_parent()
    for kind, value in (
        (resource.RLIMIT_AS, work.memory * _MIB),
        (resource.RLIMIT_FSIZE, work.scratch * _MIB),
        # Not 0: a system that hands cores to a program of its own would still do it. At 1 the kernel drops them.
        (resource.RLIMIT_CORE, 1),
        (resource.RLIMIT_NPROC, _MOST_PROCESSES),
        (resource.RLIMIT_NOFILE, _MOST_DESCRIPTORS),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        _limit(kind, value)
    landlock.allow(["/"], ["/dev"], [SCRATCH], network=work.network)
    seccomp.deny_to_steps()


def _limit(kind: int, value: int) -> None:
    """No more than `value`; less where Mayfly itself was started with less, for nobody can raise what is left."""
    hard = resource.getrlimit(kind)[1]
    least = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (least, least))


def _start(work: Work, image: Image, result: int, report: int) -> int:
    """Start the user's code and wait for its end, whatever else ends meanwhile: its exit status, or minus a signal."""
    code = os.fork()
    if code == 0:
        os.close(report)
        os.setsid()
        if work.command:
            _execute(work, work.command, image, result)
        _call(work, image, result)
    os.close(result)
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == code:
            return os.waitstatus_to_exitcode(status)


def _execute(work: Work, command: list[str], image: Image, result: int) -> NoReturn:
    status = 127  # as shells say it
    try:
        os.dup2(image.descriptor, 0)
        os.dup2(result, 1)
        os.closerange(3, _MOST_DESCRIPTORS)
        for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored_by_python, signal.SIG_DFL)
        environment = dict(os.environ) | {
            "MAYFLY_MEDIA_TYPE": image.media_type,
            "MAYFLY_PARAMETERS": json.dumps(work.parameters),
            "MAYFLY_SCRATCH": SCRATCH,
            "MAYFLY_FACTS": FACTS,
        }
        os.execvpe(command[0], command, environment)  # noqa: S606 - no shell is wanted
    finally:
        os._exit(status)


def _call(work: Work, image: Image, result: int) -> NoReturn:
    status = FAILED
    try:
        nothing = os.open("/dev/null", os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)  # what it prints is no picture
        data = os.pread(image.descriptor, image.size, 0)
        assert work.function is not None
        made = work.function(data, image.media_type, dict(work.parameters))
        picture, facts = made if isinstance(made, tuple) else (made, None)
        if facts is not None:
            Path(FACTS).write_text(_json(facts))
        _write(result, memoryview(picture).cast("B"))
        status = 0
    except RejectImage:
        status = REJECTED
    except MemoryError:
        status = OUT_OF_MEMORY
    finally:
        os._exit(status)


def _json(facts: object) -> str:
    try:
        return json.dumps(facts)
    except (TypeError, ValueError, RecursionError):
        return ""  # is no JSON, and found out as such


def _write(descriptor: int, data: memoryview) -> None:
    position = 0
    while position < len(data):
        position += os.write(descriptor, data[position : position + _CHUNK])


def _facts() -> bytes | None:
    """What stands in the file of facts, up to a byte more than is allowed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(FACTS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        return os.read(descriptor, LARGEST_FACTS + 1)
    return None
