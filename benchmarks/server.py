"""A real server: its own folders, a free port, ended with the benchmark."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from benchmarks import machine

_PATIENCE_SECONDS = 120


def until(check: Callable[[], bool], what: str, every: float = 0.01) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not check():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {_PATIENCE_SECONDS} s in vain for {what}")
        time.sleep(every)


class Server:
    """`mayfly up`. A context manager: starts, waits for readiness, stops."""

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        """`folder`: holds data and keys; one used before makes this a second start. `settings`: by name."""
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.data = folder / "data"
        self._log = folder / "log.jsonl"
        folders = ("--data", str(self.data), "--keys", str(folder / "keys"))
        self._command = [sys.executable, "-m", "mayfly", "up", "--port", "0", *folders, *options]
        # The user's own settings would change what is measured: none reach it, by variable or by mayfly.toml.
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("MAYFLY_")}
        self._environment |= {f"MAYFLY_{name.upper()}": value for name, value in settings.items()}
        self._environment["MAYFLY_LOG_FORMAT"] = "json"
        self.url = ""
        self.first_line_ms = 0.0
        self.ready_ms = 0.0

    @property
    def pid(self) -> int:
        return self._process.pid

    def workers(self) -> list[int]:
        """Its worker processes; each starts with its first image."""
        return machine.children(self.pid)

    def processed(self) -> int:
        """How many images its log says are processed. Asking the log costs the server nothing."""
        return self._log.read_bytes().count(b'"event": "processed"')

    @contextlib.contextmanager
    def consumer(self) -> Iterator[Path]:
        """A consumer of its own beside it, ended with this. Gives its log."""
        log = self.folder / "consumer.jsonl"
        folders = ("--data", str(self.data), "--keys", str(self.folder / "keys"))
        with log.open("wb") as told:
            process = subprocess.Popen(
                [sys.executable, "-m", "mayfly", "consume", *folders],
                stdout=told,
                stderr=told,
                env=self._environment,
                cwd=self.folder,
            )
        try:
            yield log
        finally:
            process.terminate()
            process.wait(20)

    def until_processed(self, count: int) -> None:
        until(lambda: self.processed() >= count, f"{count} images to be processed")

    def __enter__(self) -> Self:
        begun = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, env=self._environment, cwd=self._log.parent
            )
        try:
            assert self._process.stdout is not None
            self.url = self._process.stdout.readline().decode().strip()
            self.first_line_ms = (time.perf_counter() - begun) * 1_000
            until(self._ready, "readiness", every=0.002)
            self.ready_ms = (time.perf_counter() - begun) * 1_000
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _ready(self) -> bool:
        if not self.url:
            raise RuntimeError(f"the server printed no address: {self._log.read_text()[-2_000:]}")
        return httpx.get(f"{self.url}/readyz", timeout=10, trust_env=False).status_code == httpx.codes.OK

    def _stop(self) -> None:
        # A worker that a benchmark has stopped could not end by itself.
        for worker in self.workers() if self._process.poll() is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one benchmark. Where the data will lie decides what fsync costs, so it can be chosen: TMPDIR."""
    with tempfile.TemporaryDirectory(prefix="mayfly-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
