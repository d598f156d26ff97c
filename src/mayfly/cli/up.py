"""`mayfly up`: the owner of a data folder. Serves HTTP, runs the workers, keeps the clock and sweeps."""

import contextlib
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mayfly.cli import Leaving
from mayfly.entrypoints.ending import Ending
from mayfly.entrypoints.http.app import create_app
from mayfly.entrypoints.http.server import Occasions, address_of, bind, serve
from mayfly.entrypoints.service_manager import ServiceManager
from mayfly.journal import configure
from mayfly.model.errors import MayflyError
from mayfly.settings import Settings
from mayfly.wiring import Owner, embedded


def up(config: Path | None, options: Mapping[str, Any], leaving: Leaving) -> None:
    """Serve until told to stop.

    Raises:
        Misconfigured: with every fault there is.
    """
    settings = Settings.load(config, options, os.environ)
    configure(settings.log_format)
    leaving.unless_told()
    with embedded(settings) as owner:
        listener = bind(settings.host, settings.port)
        given_back = owner.metadata.give_back_all()
        owner.journal("started", records=given_back or None)
        manager = ServiceManager(os.environ, partial(owner.stages.readiness.ready, owner.stages.clock))
        ending = Ending((owner.workers, owner.scheduler), owner.journal)

        def on_listening() -> None:
            # uvicorn listens for signals by now. It raises the one that stopped it once more when it is done.
            leaving.unless_told()
            leaving.left_to_others = True
            # The first line printed is the address; it is printed once connections are answered.
            print(address_of(listener), flush=True)
            owner.scheduler.start()
            owner.workers.start()

        def on_stopping() -> None:
            manager.stopping()
            owner.stages.events.close()
            ending.begin()

        occasions = Occasions(on_listening, manager.beat, on_stopping)
        try:
            serve(create_app(owner.stages, figures=owner.metrics.http), listener, owner.stages.clock, occasions)
        finally:
            _end(owner, ending)


def _end(owner: Owner, ending: Ending) -> None:
    ended = ending.wait()
    given_back = 0
    # What is refused here is done by the next start.
    with contextlib.suppress(MayflyError):
        given_back = owner.metadata.give_back_all()
    owner.journal("stopped", records=given_back or None)
    if not ended:
        ending.leave_now()
