"""What is watched while a campaign runs: the memory of consumers, and whether the owner answers."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from support.processes import descendants

LOOK_SECONDS = 0.2
MIB = 1 << 20


def consumers_of(owner: int) -> list[int]:
    """The pids of the consumers beneath a running `mayfly up`."""
    return [pid for pid in descendants(owner) if b"consume" in _read(pid, "cmdline").split(b"\0")]


def peak_of(pid: int) -> int:
    """The most memory a process ever had resident, bytes; 0 where it is gone."""
    lines = _read(pid, "status").splitlines()
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith(b"VmHWM")), 0)


def busiest_of(pids: list[int]) -> int:
    """The one that worked most just now."""
    before = {pid: _worked(pid) for pid in pids}
    time.sleep(LOOK_SECONDS)
    return max(pids, key=lambda pid: _worked(pid) - before[pid])


@dataclass
class Watch:
    """Looks at everything named here several times a second, in a thread of its own."""

    pids: Callable[[], list[int]]
    health: Callable[[], str]
    """Where to ask; empty while nobody has to answer."""
    peaks: dict[int, int] = field(default_factory=dict)
    """By pid, the most bytes resident."""
    answers: int = 0
    slowest: float = 0.0
    """Seconds."""
    silences: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def watching(self) -> Iterator["Watch"]:
        ended = threading.Event()
        looks = [threading.Thread(target=self._again, args=(look, ended)) for look in (self._weigh, self._ask)]
        for look in looks:
            look.start()
        try:
            yield self
        finally:
            ended.set()
            for look in looks:
                look.join()

    def _again(self, look: Callable[[], None], ended: threading.Event) -> None:
        while not ended.wait(LOOK_SECONDS):
            look()

    def _weigh(self) -> None:
        for pid in self.pids():
            self.peaks[pid] = max(self.peaks.get(pid, 0), peak_of(pid))

    def _ask(self) -> None:
        url, begun = self.health(), time.monotonic()
        if not url:
            return
        try:
            status: object = httpx.get(f"{url}/healthz", timeout=10, trust_env=False).status_code
        except httpx.TransportError as fault:
            status = type(fault).__name__
        if status == 200:
            self.answers += 1
            self.slowest = max(self.slowest, time.monotonic() - begun)
        elif self.health() == url:
            self.silences.append(str(status))


def _worked(pid: int) -> int:
    """Its processor time, in ticks."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return sum(map(int, fields[11:13]))


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
