"""The supervisor of the consumers: processes of their own beside the owner, started anew when they end.

Each holds the reading end of a pipe whose writing end the owner alone holds, and ends when that is closed: so none
outlives a killed owner. (A signal at a parent's death would hang on the thread that started it.)
"""

import os
import random
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mayfly.entrypoints.ending import ended_within
from mayfly.model.journal import Journal

MISCONFIGURED = 2
"""The exit code of a consumer that its settings keep from running, or whom the broker refuses."""
_NOT_STARTED = 1
_KILL_SECONDS = 0.5
"""Of the time for a stop, kept for those that have to be killed."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds until a consumer that ended is started anew."""

    first: float = 1.0
    longest: float = 30.0
    refused: float = 30.0
    """After it was misconfigured: somebody has to mend that first."""
    steady: float = 60.0
    """After so long a life an end counts as the first one."""

    def after(self, ends: int, code: int) -> float:
        """`ends`: one after another. With jitter, so that those who end together come back apart."""
        if code == MISCONFIGURED:
            return self.refused
        return min(self.first * 2.0 ** min(ends - 1, 30), self.longest) * random.uniform(0.5, 1.0)  # noqa: S311


class Consumers:
    """Implements `entrypoints.ending.Stoppable`."""

    def __init__(
        self,
        count: int,
        command: Sequence[str],
        environ: Mapping[str, str],
        journal: Journal,
        patience: Patience | None = None,
    ) -> None:
        """`command` is run `count` times, with `--tether FD` added to it: the descriptor whose end to wait for."""
        self._command = tuple(command)
        self._environ = dict(environ)
        self._journal = journal
        self._patience = patience or Patience()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._tether, self._held = os.pipe() if count else (-1, -1)
        self._threads = [
            threading.Thread(target=self._look_after, name=f"consumer-{number}", daemon=True) for number in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def pids(self) -> list[int]:
        """Of those that run."""
        with self._lock:
            return [process.pid for process in self._running]

    def begin_stop(self) -> None:
        """Tell them to end, and start none anew. Returns at once."""
        self._stopping.set()
        with self._lock:
            for process in self._running:
                process.terminate()

    def stop(self, timeout_seconds: float) -> bool:
        """`begin_stop`, and wait so long at most; who is not done by then is killed, and what he had in hand comes
        again. Whether all have ended. Harmless before `start`."""
        self.begin_stop()
        deadline = time.monotonic() + timeout_seconds
        if not ended_within(self._threads, timeout_seconds - _KILL_SECONDS):
            with self._lock:
                for process in self._running:
                    process.kill()
        ended = ended_within(self._threads, max(0.0, deadline - time.monotonic()))
        if ended:
            self._cut()
        return ended

    def _look_after(self) -> None:
        ends = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                code = self._run()
                reason = _described(code)
            except OSError as fault:
                # No memory, no process or no descriptor left: it passes.
                code, reason = _NOT_STARTED, f"it cannot be started now: {fault.strerror}"
            if self._stopping.is_set():
                return
            ends = 1 if time.monotonic() - began >= self._patience.steady else ends + 1
            self._journal("consumer_ended", reason=reason)
            self._stopping.wait(self._patience.after(ends, code))

    def _run(self) -> int:
        with self._lock:
            if self._stopping.is_set():
                return 0
            process = subprocess.Popen(  # noqa: S603 - our own program
                [*self._command, "--tether", str(self._tether)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=self._environ,
                pass_fds=(self._tether,),
                start_new_session=True,  # Ctrl-C is for the owner, which tells us then
            )
            self._running.add(process)
        self._journal("consumer_started")
        code = process.wait()
        with self._lock:
            self._running.discard(process)
        return code

    def _cut(self) -> None:
        for descriptor in (self._tether, self._held):
            if descriptor >= 0:
                os.close(descriptor)
        self._tether = self._held = -1


def _described(code: int) -> str:
    if code == MISCONFIGURED:
        return "misconfigured: see what it said; it is tried again, seldom"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
