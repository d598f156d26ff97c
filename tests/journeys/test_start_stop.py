"""Starting and stopping: one owner, plain words, and a signal heeded at any moment."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mayfly.entrypoints.worker import WorkerPool
from support.server import MakeServer, Server, until

ONE_WORKER = ("--workers", "1")
MISCONFIGURED = 2
ENDS_WITHIN_SECONDS = 20


def refused(*options: str | Path, cwd: Path) -> str:
    """The one line that a start with these options ends with."""
    command = [sys.executable, "-m", "mayfly", "up", "--port", "0", *map(str, options)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd)
    assert ended.returncode == MISCONFIGURED, ended
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def test_a_second_owner_of_the_keys_is_refused_with_the_firsts_pid(server: Server, tmp_path: Path) -> None:
    told = refused("--data", tmp_path / "other", "--keys", server.keys, cwd=tmp_path)
    assert f"pid {server.pid}" in told
    assert "--keys" in told


def test_a_crash_leaves_no_core_dump_which_would_hold_keys_and_clear_bytes(server: Server) -> None:
    limits = Path(f"/proc/{server.pid}/limits").read_text()
    (core,) = (line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size"))
    # At 1 the kernel hands it to no program either.
    assert core in (["1", "1"], ["0", "0"])


def test_a_restart_that_forgets_its_keys_is_refused(server: Server, tmp_path: Path, small: bytes) -> None:
    image = server.upload(small)
    server.stop()
    assert f"made as {server.keys}, is missing" in refused("--data", server.data, cwd=tmp_path)
    server.start()
    assert server.get(f"/v1/images/{image['id']}/original").content == small


@pytest.mark.parametrize("place", ["file", "file/x", "/proc/x"])
@pytest.mark.parametrize("option", ["--data", "--keys"])
def test_a_folder_that_cannot_be_is_told_in_a_line(option: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = refused(option, tmp_path / place, cwd=tmp_path)
    assert option in told


def heeds_sigterm(pid: int) -> bool:
    """Whether the process has set a handler, by the kernel's word."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(caught >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize(
    ("number", "moments"), [(signal.SIGTERM, (0.0, 0.2, 0.4, 0.7, 1.0, 1.4)), (signal.SIGINT, (0.1, 0.6))]
)
def test_a_signal_at_any_moment_of_the_start_ends_it_with_success(
    make_server: MakeServer, number: int, moments: tuple[float, ...]
) -> None:
    for moment in moments:  # from the imports to the workers' start
        server = make_server(f"server-{moment}", options=ONE_WORKER)
        with server.log.open("wb") as log:
            process = subprocess.Popen(server.command(), stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        try:
            until(partial(heeds_sigterm, process.pid), "the handler")
            time.sleep(moment)
            process.send_signal(number)
            assert process.wait(ENDS_WITHIN_SECONDS) == 0, (moment, server.log.read_text())
            assert "Traceback" not in server.log.read_text()
        finally:
            process.kill()
            process.communicate()
        server.start().stop()


def test_signals_that_pile_up_at_a_stop_do_not_cut_it_short(server: Server) -> None:
    assert server.process is not None
    for _ in range(3):
        server.process.terminate()
        time.sleep(0.05)
    assert server.stop() == 0
    assert '"stopped"' in server.log.read_text(encoding="utf-8")


class Endless:
    """A sandbox, and processing that hears of no stop until the test ends."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.begun = threading.Semaphore(0)

    def pool(self, count: int) -> WorkerPool:
        def run_once(_: float) -> None:
            self.begun.release()
            self.over.wait()

        processing: Any = SimpleNamespace(run_once=run_once)
        make_sandbox: Any = contextlib.nullcontext
        return WorkerPool(count, make_sandbox, make_sandbox, lambda *_: processing, lambda *_, **__: None)


def test_all_workers_together_are_waited_for_no_longer_than_one() -> None:
    endless = Endless()
    pool = endless.pool(8)
    pool.start()
    for _ in range(8):
        endless.begun.acquire()
    began = time.monotonic()
    pool.stop(0.5)
    took = time.monotonic() - began
    endless.over.set()
    assert 0.4 < took < 2.0


def test_workers_that_were_never_started_can_be_stopped() -> None:
    Endless().pool(2).stop(1.0)
