"""`mayfly up`: the owner of a data folder. Serves HTTP, runs the workers, keeps the clock and sweeps."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mayfly.cli import Leaving
from mayfly.entrypoints.http.app import create_app
from mayfly.entrypoints.http.server import address_of, bind, serve
from mayfly.journal import configure
from mayfly.settings import Settings
from mayfly.wiring import embedded

_WORKERS_MAY_TAKE = 3.0
"""Seconds to finish what is in hand at a stop; what takes longer is given back at the next start."""


def up(config: Path | None, options: Mapping[str, Any], leaving: Leaving) -> None:
    """Serve until told to stop.

    Raises:
        Misconfigured: with every fault there is.
    """
    settings = Settings.load(config, options, os.environ)
    configure(settings.log_format)
    leaving.unless_told()
    with embedded(settings) as owner, contextlib.ExitStack() as running:
        listener = bind(settings.host, settings.port)
        given_back = owner.metadata.give_back_all()
        owner.journal("started", records=given_back or None)
        running.callback(owner.journal, "stopped")

        def on_listening() -> None:
            # uvicorn listens for signals by now. It raises the one that stopped it once more when it is done.
            leaving.unless_told()
            leaving.left_to_others = True
            # The first line printed is the address; it is printed once connections are answered.
            print(address_of(listener), flush=True)
            owner.scheduler.start()
            running.callback(owner.scheduler.stop)
            owner.workers.start()
            running.callback(owner.workers.stop, _WORKERS_MAY_TAKE)

        app = create_app(owner.stages, figures=owner.metrics.http)
        serve(app, listener, owner.stages.clock, on_listening, owner.stages.events.close)
