"""What the kernel says of processes: CPU, memory, descendants. Linux only."""

import os
from pathlib import Path

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME = 11, 12  # fields of /proc/pid/stat after the name, counted from 0 (man 5 proc)


def cpu_ms(pid: int) -> float:
    """User and system time of the process, all threads, in ticks of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) * _TICK_MS


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    return [pid, *(each for child in children(pid) for each in family(child))]


def memory_mib(pid: int) -> float:
    """PSS of one process: what it shares is divided by those who share it.

    A worker lets nobody but root look into its memory. For others its RSS stands in, which is never less.
    """
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except PermissionError:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 2**20
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024
