"""The supervisor of the workers: one thread a worker, each with a sandboxed process of its own."""

import threading
from collections.abc import Callable

from mayfly.entrypoints.ending import ended_within
from mayfly.model.errors import Unavailable
from mayfly.model.journal import Journal
from mayfly.processing.own.call import OwnSteps
from mayfly.processing.process import Processing
from mayfly.processing.sandbox import Sandbox

_WAIT_SECONDS = 1.0
_PAUSE_SECONDS = 1.0


class WorkerPool:
    """Runs `count` workers until stopped. A sandbox is made, used and closed by its own thread, because the kernel
    ends a child whose parent *thread* ends; so are the hosts of the user's own steps."""

    def __init__(
        self,
        count: int,
        make_sandbox: Callable[[], Sandbox],
        make_own_steps: Callable[[], OwnSteps],
        make_processing: Callable[[Sandbox, OwnSteps, threading.Event], Processing],
        journal: Journal,
    ) -> None:
        self._make_sandbox = make_sandbox
        self._make_own_steps = make_own_steps
        self._make_processing = make_processing
        self._journal = journal
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True) for number in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def begin_stop(self) -> None:
        """Take no more work. Returns at once."""
        self._stopping.set()

    def stop(self, timeout_seconds: float) -> bool:
        """`begin_stop`, and wait for what is in hand, so long for all together. Whether all of it was finished; the
        rest is given back. Harmless before `start`."""
        self.begin_stop()
        return ended_within(self._threads, timeout_seconds)

    def _run(self) -> None:
        with self._make_sandbox() as sandbox, self._make_own_steps() as own_steps:
            processing = self._make_processing(sandbox, own_steps, self._stopping)
            while not self._stopping.is_set():
                try:
                    processing.run_once(_WAIT_SECONDS)
                    sandbox.tend()
                except Unavailable as fault:
                    self._journal("worker_waits", reason=str(fault))
                    self._stopping.wait(_PAUSE_SECONDS)
                except Exception as fault:
                    # A defect of ours: its lease runs out and the image is tried again; the others go on.
                    self._journal("worker_fault", reason=f"{type(fault).__name__}: {fault}")
                    self._stopping.wait(_PAUSE_SECONDS)
