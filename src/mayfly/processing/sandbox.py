"""One worker process under supervision: an image in, renditions and facts out."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from mayfly.model.errors import AttemptFailed, Rejected, WorkerDied, WorkerOverdue
from mayfly.model.journal import Journal, untold
from mayfly.processing import wire
from mayfly.processing.closing import Closing
from mayfly.processing.limits import MIB, Limits
from mayfly.processing.recipe import Recipe
from mayfly.processing.reply import Complaint, Reply, Unbelievable, read_reply
from mayfly.processing.shared_body import SharedBody
from mayfly.processing.stage import Stage, attachments
from mayfly.processing.steps.step import files_to_json

# Not -I: that would switch off the user's site as well, where `pip install --user` puts Mayfly itself.
WORKER = (sys.executable, "-E", "-P", "-m", "mayfly.processing.worker_main")

_START_SECONDS = 30.0  # 0.4 on an idle machine; a loaded one may need many times that
_END_SECONDS = 5.0

# The least memory that is kept for originals. It grows to the largest that came.
_DESK_BYTES = 4 * MIB

# Nor more than this is kept: uploads are smaller, and what a step of the user's own gives back may be far larger.
_LARGEST_DESK = 16 * MIB

# A worker is replaced after this many images, so that whatever a decoder leaks is bounded. It costs 0.4 s of CPU.
_IMAGES_A_WORKER = 500


@dataclass(frozen=True, slots=True)
class Picture:
    """What a stage made, under the stage's name. `data` is shared memory, readable until its outcome is closed; sizes
    are pixels."""

    name: str
    media_type: str
    width: int
    height: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class Outcome(Closing):
    """What became of an image. A context manager: leaving it frees the pictures' memory.

    Attributes:
        pictures: one a stage, in the order they were asked for.
        facts: non-personal, JSON. Empty where nothing was measured.
        phash: 8 bytes, personal (`facts.dhash`): to be keyed and dropped. Empty likewise.
        timings: milliseconds by stage of the worker's work.
    """

    pictures: tuple[Picture, ...]
    facts: Mapping[str, Any]
    phash: bytes
    timings: Mapping[str, float]
    _memory: SharedBody

    def close(self) -> None:
        for picture in self.pictures:
            picture.data.release()
        self._memory.close()


class Sandbox(Closing):
    """A worker, started when first needed and again whenever it ended. Used by one thread at a time; where the kernel
    offers it, a worker dies with the thread that started it, so that none outlives a killed parent."""

    def __init__(
        self,
        limits: Limits,
        recipes: Sequence[Recipe],
        command: Sequence[str] = WORKER,
        journal: Journal = untold,
    ) -> None:
        self.limits = limits
        self.recipes = tuple(recipes)
        self._stages = tuple(stage for recipe in self.recipes for stage in recipe.stages)
        self._command = tuple(command)
        self._journal = journal
        self._worker: _Worker | None = None
        self._desk: SharedBody | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is none."""
        return self._worker.process.pid if self._worker else None

    @property
    def cage(self) -> Mapping[str, bool]:
        """Each layer of the cage and whether it is in force. Starts a worker if there is none."""
        return self._ready().cage

    @contextlib.contextmanager
    def desk(self, size: int) -> Iterator[SharedBody]:
        """Shared memory for an original of `size` bytes, 1 or more, which only its holder can write; wiped afterwards.
        It is kept from one image to the next: getting 4 MB of pages from the system costs 4 ms of CPU. (A body larger
        than any upload gets memory of its own.)"""
        if size > _LARGEST_DESK:
            with SharedBody.create(size) as large:
                large.freeze()
                yield large
            return
        if self._desk is None or self._desk.room < size:
            self._clear_desk()
            self._desk = SharedBody.create(max(size, _DESK_BYTES))
            self._desk.freeze()
        with self._desk.holding(size):
            yield self._desk

    def run(
        self, body: SharedBody, media_type: str, stages: Sequence[Stage] | None = None, *, measured: bool = True
    ) -> Outcome:
        """Decode the body as `media_type` and run these stages of the recipes, by default all, in one pass. Facts come
        with them unless they are not to be `measured`.

        Raises:
            Rejected: the image is at fault; the text is a slug: `truncated`, `corrupt`, `unsupported`,
                `too-many-pixels`, `too-many-frames`.
            WorkerDied: the worker ended, or said what no honest worker says; `worker-died`, `worker-unbelievable`.
            WorkerOverdue: it exceeded `limits.seconds` and was killed; `worker-overdue`.
            AttemptFailed: it could not do it; a slug such as `out-of-memory`.
        """
        worker = self._ready()
        wanted = self._stages if stages is None else stages
        memory = SharedBody.create(self.limits.output)
        try:
            reply = self._ask(worker, body, memory, _Wish(media_type, wanted, measured))
            worker.images += 1
            if worker.images >= _IMAGES_A_WORKER:
                self.close()
            return _outcome(reply, memory)
        except BaseException as fault:
            if isinstance(fault, WorkerDied | WorkerOverdue):
                self._journal("worker_ended", reason=str(fault))
            # Also after a rejection: hostile bytes were in there, and what they did to the process is not known.
            self.close()
            memory.close()
            raise

    def close(self) -> None:
        """End the worker. Harmless when there is none; the next run starts another."""
        if self._worker:
            self._worker.end()
            self._worker = None

    def tend(self) -> None:
        """Replace a worker that ended between two images, so that the next one need not wait for that.

        Raises:
            WorkerDied, WorkerOverdue: another could not be started.
        """
        if self._worker and self._worker.process.poll() is not None:
            self._ready()

    def _clear_desk(self) -> None:
        if self._desk:
            self._desk.close()
            self._desk = None

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._clear_desk()

    def _ready(self) -> "_Worker":
        if self._worker and self._worker.process.poll() is not None:
            self._journal("worker_ended", reason="worker-died")
            self.close()
        if not self._worker:
            self._worker = _Worker.start(self._command, self.limits, self._stages)
            self._journal("worker_started")
        return self._worker

    def _ask(self, worker: "_Worker", body: SharedBody, memory: SharedBody, wish: "_Wish") -> Reply:
        request = wish.to_json() | {"size": body.size, "room": memory.size}
        message = worker.ask(request, (body.fileno(), memory.fileno()), self.limits.seconds)
        try:
            reply = read_reply(message, wish.stages, self.limits, measured=wish.measured)
        except Unbelievable:
            raise WorkerDied("worker-unbelievable") from None
        if isinstance(reply, Complaint):
            raise Rejected(reply.reason) if reply.rejected else AttemptFailed(reply.reason)
        return reply


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a worker is to do with a body."""

    media_type: str
    stages: Sequence[Stage]
    measured: bool

    def to_json(self) -> dict[str, Any]:
        names = [stage.name for stage in self.stages]
        return {"media_type": self.media_type, "stages": names, "measure": self.measured}


class _Worker:
    """A running worker process and the socket to it."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self.process = process
        self.cage: Mapping[str, bool] = {}
        self.images = 0
        self._channel = channel

    @classmethod
    def start(cls, command: Sequence[str], limits: Limits, stages: Sequence[Stage]) -> Self:
        nothing: dict[str, str] = {}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # a decoder's complaint may quote the image
                env=nothing,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the parent, which lets the image in hand be finished
            )
        worker = cls(process, ours)
        try:
            setup = {
                "limits": limits.to_json(),
                "stages": [stage.to_json() for stage in stages],
                "files": files_to_json([file for stage in stages for file in attachments(stage.steps)]),
            }
            hello = worker.ask(setup, (), _START_SECONDS)
            worker.cage = _cage_report(hello)
        except BaseException:
            worker.end()
            raise
        return worker

    def ask(self, message: dict[str, Any], descriptors: Sequence[int], seconds: float) -> dict[str, Any]:
        """Raises:
        WorkerDied, WorkerOverdue.
        """
        deadline = time.monotonic() + seconds
        try:
            self._channel.settimeout(seconds)
            wire.send(self._channel, message, descriptors)
            return wire.receive(self._channel, deadline)
        except TimeoutError:
            raise WorkerOverdue("worker-overdue") from None
        except (wire.Broken, OSError):
            raise WorkerDied("worker-died") from None

    def end(self) -> None:
        self._channel.close()
        self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_END_SECONDS)


def _cage_report(hello: Mapping[str, Any]) -> dict[str, bool]:
    layers = hello.get("cage")
    if not isinstance(layers, dict) or not all(isinstance(held, bool) for held in layers.values()):
        raise WorkerDied("worker-unbelievable")
    return layers


def _outcome(reply: Reply, memory: SharedBody) -> Outcome:
    whole = memory.view.toreadonly()
    pictures = tuple(
        Picture(
            placed.name,
            placed.media_type,
            placed.width,
            placed.height,
            whole[placed.offset : placed.offset + placed.size],
        )
        for placed in reply.pictures
    )
    return Outcome(pictures, reply.facts, reply.phash, reply.timings, memory)
