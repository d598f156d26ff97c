"""Durable before acknowledged, seen from outside: what the kernel is asked for before the first byte of an answer.

The trace of a real server is played to a small model of a disk, which knows what a power cut would take.
"""

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from support.processes import hold
from support.server import MakeServer, Server, until
from support.tracing import require_strace

WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg")
SYNCS = ("fsync", "fdatasync")
NAMINGS = ("openat", "link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat")
TRACED = ",".join((*WRITES, *SYNCS, *NAMINGS))

_CALL = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\((?P<rest>.*)")
_RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")
_OPEN_FILE = re.compile(r"^\d+<(?P<path>[^>]*)>")
_NAME = re.compile(r'"(?P<path>/[^"]*)"')
_CUT = " <unfinished ...>"


@dataclass(frozen=True)
class Call:
    """One system call. It counts from where it ended, but bytes may leave from where it began."""

    name: str
    arguments: str
    ended: bool


def calls(lines: list[str]) -> Iterator[Call]:
    """Each call as it began, and again as it ended."""
    begun: dict[str, str] = {}
    for line in lines:
        if found := _CALL.match(line):
            arguments = found["rest"].removesuffix(_CUT)
            yield Call(found["name"], arguments, ended=False)
            if found["rest"].endswith(_CUT):
                begun[found["thread"]] = arguments
            else:
                yield Call(found["name"], arguments, ended=True)
        elif found := _RESUMED.match(line):
            yield Call(found["name"], begun.pop(found["thread"], "") + found["rest"], ended=True)


@dataclass
class Disk:
    """What of the two folders a power cut would take: files with bytes, folders with names, that nobody synced.

    Cutting a file short is not looked at: SQLite cuts its log after all of it was synced to the database, and a cut
    that is lost leaves a log that says the same again.
    """

    roots: tuple[Path, ...]
    unsynced: set[Path] = field(default_factory=set)
    synced: list[Path] = field(default_factory=list)

    def play(self, call: Call) -> None:
        if not call.ended or call.arguments.rpartition(" = ")[2].startswith("-1"):
            return
        if call.name in SYNCS:
            path = self._file_of(call)
            self.unsynced.discard(path)
            self.synced.append(path)
        elif call.name in WRITES:
            self._note(self._file_of(call))
        elif call.name != "openat" or "O_CREAT" in call.arguments:
            for path in self._named_by(call):
                self._note(path.parent)
            if call.name in ("link", "linkat", "rename", "renameat", "renameat2"):
                self._carry_over(*self._named_by(call))

    def _note(self, path: Path) -> None:
        if any(root == path or root in path.parents for root in self.roots):
            self.unsynced.add(path)

    def _carry_over(self, old: Path, new: Path) -> None:
        """Bytes that were not synced are no safer under another name."""
        if old in self.unsynced:
            self.unsynced.add(new)

    @staticmethod
    def _file_of(call: Call) -> Path:
        found = _OPEN_FILE.match(call.arguments)
        return Path(found["path"]) if found else Path()

    @staticmethod
    def _named_by(call: Call) -> list[Path]:
        return [Path(path) for path in _NAME.findall(call.arguments)]


def disk_at(lines: list[str], answer: str, roots: tuple[Path, ...]) -> Disk:
    """The disk when the first byte of that answer leaves."""
    disk = Disk(roots)
    for call in calls(lines):
        if not call.ended and call.name in WRITES and answer in call.arguments:
            return disk
        disk.play(call)
    raise AssertionError(f"the answer {answer!r} is not in the trace")


@dataclass
class Traced:
    """A server under strace. `mark` lets the trace be looked at from there on."""

    server: Server
    trace: Path
    roots: tuple[Path, ...]

    def lines(self) -> list[str]:
        return self.trace.read_text(encoding="utf-8", errors="replace").splitlines()

    def until_traced(self, answer: str) -> list[str]:
        """The lines, once that answer is among them: the tracer writes a little later than the server."""
        lines: list[str] = until(lambda: answer in self.trace.read_text(errors="replace") and self.lines(), "the trace")
        return lines

    def lost_at(self, answer: str) -> set[Path]:
        """What a power cut at that answer would take. Ticks of the clock come at any time and are no part of it."""
        disk = disk_at(self.until_traced(answer), answer, self.roots)
        return {path for path in disk.unsynced if path.name not in ("clock.tick", "mayfly.db-shm", "owner.lock")}


@pytest.fixture
def traced(make_server: MakeServer, tmp_path: Path, small: bytes) -> Iterator[Traced]:
    """One whose only worker is stopped with an image in its hands: nothing but requests writes to its folders."""
    require_strace("that uploads are synced before they are acknowledged")
    trace = tmp_path / "trace"
    # -D: the server stays our own child, the tracer stands aside.
    wrapper = ("strace", "-D", "-f", "-qq", "-y", "-s", "600", "-o", str(trace), "-e", f"trace={TRACED}")
    server = make_server(
        options=("--workers", "1"), environment={"MAYFLY_WORKER_SECONDS": "600"}, wrapper=wrapper
    ).start()
    _, worker = hold(server, small)
    yield Traced(server, trace, (server.data, server.keys))
    os.kill(worker, signal.SIGCONT)
    server.stop()


def wait_for_a_quiet_stretch() -> None:
    """Sweeps come at full minutes and write too: leave the last seconds of a minute to them, and the first."""
    until(lambda: 3 < time.time() % 60 < 50, "the middle of a minute")


def answer_to(identity: str) -> str:
    """How the answer to an upload begins on the wire, as traced."""
    return f"location: /v1/images/{identity}"


def test_an_upload_would_survive_a_power_cut_before_its_first_byte_of_201(traced: Traced, small: bytes) -> None:
    server = traced.server
    wait_for_a_quiet_stretch()
    # Another retention: the folder of its minute is new, so its name has to be made durable too.
    image = server.upload(small, retain="PT3H")
    answer = answer_to(image["id"])
    lines = traced.until_traced(answer)
    assert traced.lost_at(answer) == set()

    object_file = next(path for path in server.files() if path.name == f"{image['id']}.original.original")
    synced = disk_at(lines, answer, traced.roots).synced
    part = next(path for path in synced if path.name.startswith(object_file.name) and path.suffix == ".part")
    log = server.data / "mayfly.db-wal"
    last = len(synced) - 1 - synced[::-1].index(log)
    assert synced.index(part) < synced.index(object_file.parent) < last
    for needed in (part, object_file.parent, server.data / "objects", log):
        assert without_syncs_of(lines, needed) != lines
        lost = disk_at(without_syncs_of(lines, needed), answer, traced.roots).unsynced
        assert needed in lost, f"the trace does not show that {needed} is needed"


def without_syncs_of(lines: list[str], path: Path) -> list[str]:
    """The trace as it would be if the program never synced that: the model has to notice."""
    sync = re.compile(rf"\d+ +f(data)?sync\(\d+<{re.escape(str(path))}>")
    return [line for line in lines if not sync.match(line)]


def test_an_erasure_is_remembered_and_its_objects_gone_before_its_first_byte_of_204(
    traced: Traced, small: bytes
) -> None:
    server = traced.server
    wait_for_a_quiet_stretch()
    image = server.upload(small, retain="PT3H")
    assert httpx.delete(f"{server.url}/v1/images/{image['id']}", timeout=60).status_code == 204
    answer = "HTTP/1.1 204"
    lines = traced.until_traced(answer)
    assert traced.lost_at(answer) == set()
    needed = server.keys / "erased.ids"
    assert needed in disk_at(without_syncs_of(lines, needed), answer, traced.roots).unsynced
