"""The parent's half of a step that runs behind walls: it starts the host, feeds it, and reads what comes back."""

import contextlib
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from mayfly.model.errors import AttemptFailed, Rejected
from mayfly.processing import wire
from mayfly.processing.own.answer import Raw
from mayfly.processing.own.report import LARGEST_FACTS, NOT_LOCKED, OUT_OF_MEMORY, REJECTED, REPORT, SCRATCH
from mayfly.processing.own.step import FunctionStep, RunStep
from mayfly.processing.shared_body import SharedBody

HOST = (sys.executable, "-E", "-P", "-m", "mayfly.processing.own.host")

_START_SECONDS = 120.0  # a function may import a lot
_GRACE_SECONDS = 5.0
_END_SECONDS = 5.0
_CHUNK = 256 * 1024
_MOST_REPORT_BYTES = LARGEST_FACTS + 1024
_SLUGS = {OUT_OF_MEMORY: "step-out-of-memory"}


class HostFailed(AttemptFailed):
    """The host of a step cannot be started. `why` is for the operator; no image was near it."""

    def __init__(self, slug: str, why: str = "") -> None:
        super().__init__(slug)
        self.why = why


class Keeper:
    """One step and its host, which is started when first needed and again whenever it ended. Used by one thread at a
    time; the host dies with the thread that started it."""

    def __init__(self, step: RunStep | FunctionStep, hidden: Iterable[Path], command: tuple[str, ...] = HOST) -> None:
        """
        Args:
            hidden: folders that the step finds empty, wherever they lie.
        """
        self._step = step
        self._hidden = [str(path) for path in hidden]
        self._command = command
        self._host: _Host | None = None

    @property
    def pid(self) -> int | None:
        """The host's process id; None while there is none."""
        return self._host.process.pid if self._host else None

    def start(self) -> None:
        """Start the host, if there is none.

        Raises:
            HostFailed: `step-not-isolated`, `step-not-loadable`.
        """
        if self._host and self._host.process.poll() is not None:
            self.close()
        if not self._host:
            self._host = _Host.start(self._command, self._setup())

    def call(self, data: bytes | memoryview, media_type: str, largest: int) -> Raw:
        """Hand the image over, and read the result up to `largest` bytes.

        Raises:
            Rejected: `step-rejected`.
            AttemptFailed: `step-failed`, `step-crashed`, `step-overdue`, `step-out-of-memory`,
                `step-output-too-large`, and what `start` raises.
        """
        self.start()
        assert self._host is not None
        try:
            ended = self._host.ask(data, media_type, largest, self._step.timeout)
        except BaseException:
            self.close()
            raise
        return ended.raw()

    def close(self) -> None:
        """End the host. Harmless when there is none."""
        if self._host:
            self._host.end()
            self._host = None

    def _setup(self) -> dict[str, Any]:
        step = self._step
        setup: dict[str, Any] = {
            "hidden": self._hidden,
            "network": step.network,
            "environment": environment(),
            "memory": step.memory,
            "scratch": step.scratch,
            "seconds": step.timeout,
            "parameters": dict(step.parameters),
        }
        shown = list(step.readable)
        if isinstance(step, RunStep):
            code = step.program
            setup["command"] = [str(code or step.command[0]), *step.command[1:]]
        else:
            code = step.file
            setup |= {"file": None if code is None else str(code), "function": step.name}
        return setup | {"shown": [str(path) for path in [*shown, *([code] if code else [])]]}


def environment() -> Mapping[str, str]:
    """What a step finds in its environment, beside what is the image's."""
    path = [f"{sys.prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin"]
    return {"PATH": ":".join(path), "HOME": SCRATCH, "TMPDIR": SCRATCH, "LANG": "C.UTF-8"}


class _Host:
    """A running host and the socket to it."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self.process = process
        self._channel = channel

    @classmethod
    def start(cls, command: tuple[str, ...], setup: Mapping[str, Any]) -> Self:
        nothing: dict[str, str] = {}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # what a step complains of may quote the image
                env=nothing,
                cwd="/",
                start_new_session=True,
            )
        host = cls(process, ours)
        try:
            host._greet(setup)
        except BaseException:
            host.end()
            raise
        return host

    def _greet(self, setup: Mapping[str, Any]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        try:
            wire.send(self._channel, dict(setup))
            hello = wire.receive(self._channel, deadline)
        except (wire.Broken, OSError):
            raise HostFailed("step-not-loadable", "its process ended, or took too long, before it was ready") from None
        if hello != {"ready": True}:
            raise HostFailed(str(hello.get("failed")), str(hello.get("why")))

    def ask(self, data: bytes | memoryview, media_type: str, largest: int, seconds: float) -> "_Ended":
        """Raises:
        AttemptFailed: the host itself ended, or does not answer.
        """
        deadline = time.monotonic() + seconds + _GRACE_SECONDS
        with SharedBody.create(len(data)) as body, _Pipe(largest) as result, _Pipe(_MOST_REPORT_BYTES) as report:
            body.view[:] = data
            body.freeze()
            try:
                self._channel.settimeout(seconds + _GRACE_SECONDS)
                descriptors = (body.fileno(), result.theirs, report.theirs)
                wire.send(self._channel, {"media_type": media_type, "size": len(data)}, descriptors)
                result.hand_over()
                report.hand_over()
                reply = self._listen(result, report, deadline)
            except TimeoutError:
                raise AttemptFailed("step-overdue") from None
            except (wire.Broken, OSError):
                raise AttemptFailed("step-crashed") from None
            return _Ended(reply, result.data, bytes(report.data), result.full)

    def _listen(self, result: "_Pipe", report: "_Pipe", deadline: float) -> Mapping[str, Any]:
        """Read both pipes until the host says that the child and all it started are gone."""
        with selectors.DefaultSelector() as events:
            events.register(self._channel, selectors.EVENT_READ)
            for pipe in (result, report):
                events.register(pipe.ours, selectors.EVENT_READ, pipe)
            while True:
                ready = events.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise TimeoutError
                for key, _ in ready:
                    if key.data is None:
                        reply = wire.receive(self._channel, deadline)
                        result.drain()
                        report.drain()
                        return reply
                    if not key.data.read():
                        events.unregister(key.fileobj)
                        key.data.shut()

    def end(self) -> None:
        """The host ends when its socket does, with whatever runs in it; if it does not, it is killed."""
        self._channel.close()
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_END_SECONDS)


class _Pipe:
    """A pipe that is read up to a bound. `theirs` is the end to hand over."""

    def __init__(self, largest: int) -> None:
        self.data = bytearray()
        self.full = False
        self._largest = largest
        self.ours, self.theirs = os.pipe()
        os.set_blocking(self.ours, False)

    def read(self) -> bool:
        """Take what is there. False once nothing more will come, or is wanted."""
        try:
            chunk = os.read(self.ours, _CHUNK)
        except BlockingIOError:
            return True
        self.data += chunk
        self.full = len(self.data) > self._largest
        return bool(chunk) and not self.full

    def drain(self) -> None:
        """Take what is left of one whose writers are gone."""
        while self.ours >= 0:
            before = len(self.data)
            if not self.read() or len(self.data) == before:
                return

    def hand_over(self) -> None:
        """The other end is another process's from here on."""
        os.close(self.theirs)
        self.theirs = -1

    def shut(self) -> None:
        """Whoever writes on is told that nobody reads."""
        if self.ours >= 0:
            os.close(self.ours)
            self.ours = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()
        if self.theirs >= 0:
            self.hand_over()


class _Ended:
    """How a run ended, as far as it can be told from outside."""

    def __init__(self, reply: Mapping[str, Any], data: bytearray, report: bytes, full: bool) -> None:
        self._reply = reply
        self._data = data
        self._report = report
        self._full = full

    def raw(self) -> Raw:
        """The result, or what is raised for it."""
        if self._full:
            raise AttemptFailed("step-output-too-large")
        if self._reply.get("overdue"):
            raise AttemptFailed("step-overdue")
        if self._reply.get("status") == NOT_LOCKED:
            raise AttemptFailed("step-not-isolated")
        if len(self._report) < REPORT.size:
            raise AttemptFailed("step-crashed")
        status, has_facts = REPORT.unpack_from(self._report)
        if status == REJECTED:
            raise Rejected("step-rejected")
        if status != 0:
            raise AttemptFailed(_SLUGS.get(status, "step-failed" if status > 0 else "step-crashed"))
        return Raw(self._data, self._report[REPORT.size :] if has_facts else None)
