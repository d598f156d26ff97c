"""What the routes call. Made by the composition root, carried by the application."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from mayfly.entrypoints.http.streams import EventStreams
from mayfly.intake.admit import Forms
from mayfly.intake.receive import UploadDoor
from mayfly.intake.redrive import Redrive
from mayfly.intake.sessions import Sessions
from mayfly.model.instant import Ms
from mayfly.operations.tokens import Tokens
from mayfly.ports.clock import Clock, GuardedClock
from mayfly.processing.reprocess import Reprocess
from mayfly.queries.find import Find
from mayfly.queries.letters import Letters
from mayfly.queries.open import Open
from mayfly.retention.erase import Erasure
from mayfly.retention.reconcile import Reconcile
from mayfly.retention.sweep import Sweep


@dataclass(slots=True)
class Readiness:
    """Why the server is not ready yet, or has stopped being so. Written by the scheduler, read by `/readyz`."""

    starting: bool = True
    last_sweep_at: Ms | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def swept(self, at: Ms) -> None:
        with self._lock:
            self.last_sweep_at = at
            self.starting = False

    def ready(self, clock: Clock) -> bool:
        """Whether `/readyz` answers 200."""
        return not self.starting and not clock.held()


@dataclass(frozen=True, slots=True)
class Stages:
    uploads: UploadDoor
    forms: Forms
    sessions: Sessions
    find: Find
    open: Open
    erasure: Erasure
    reprocess: Reprocess
    letters: Letters
    redrive: Redrive
    sweep: Sweep
    reconcile: Reconcile
    clock: GuardedClock
    readiness: Readiness
    events: EventStreams
    exposition: Callable[[str], tuple[bytes, str]]
    """The figures as a page and its content type, for what `Accept` asks for."""
    tokens: Tokens


def stages_in(request: Request) -> Stages:
    stages: Stages = request.app.state.stages
    return stages


async def stages_of(request: Request) -> Stages:
    # Async though it awaits nothing: a sync dependency costs every request a trip to a thread.
    return stages_in(request)
