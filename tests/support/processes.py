"""Processes under test: whether they live, and workers caught while they hold an image."""

import os
import signal
from pathlib import Path
from typing import Any

from support.server import Server, until


def alive(pid: int) -> bool:
    """Whether it still runs. One that only waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def memory_of(pid: int) -> int:
    """Its resident memory, bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def the_worker(server: Server) -> int:
    """The process of a server's only worker."""
    workers: list[int] = until(server.children, "a worker process")
    assert len(workers) == 1
    return workers[0]


def hold(server: Server, body: bytes, **parameters: str) -> tuple[dict[str, Any], int]:
    """Upload an image into the hands of the server's only worker, which is stopped: the image and the worker's pid.

    A worker is started when first needed, so another image is processed before.
    """
    server.until_state(server.upload(body)["id"], "processed")
    worker = the_worker(server)
    os.kill(worker, signal.SIGSTOP)
    image = server.upload(body, **parameters)
    server.until_state(image["id"], "processing")
    return image, worker


def descendants(pid: int) -> list[int]:
    """The living processes beneath one. Those that only wait to be reaped are left out."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state not in "ZX":
                parents.setdefault(int(parent), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found
