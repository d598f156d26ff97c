"""`mayfly up`: the owner of a data folder. Serves HTTP, runs the workers, keeps the clock and sweeps."""

import contextlib
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mayfly.adapters.local.owner_socket import listening
from mayfly.cli import Leaving
from mayfly.cli.consume import COMMAND, environment_of
from mayfly.cli.kafka import need_client
from mayfly.entrypoints.consumers import Consumers
from mayfly.entrypoints.core_dumps import forbid_core_dumps
from mayfly.entrypoints.ending import Ending
from mayfly.entrypoints.http.app import create_app
from mayfly.entrypoints.http.origin import Reach, is_loopback
from mayfly.entrypoints.http.owner.app import create_owner_app
from mayfly.entrypoints.http.server import Door, Occasions, address_of, bind, serve
from mayfly.entrypoints.http.tls import Certificate
from mayfly.entrypoints.service_manager import ServiceManager
from mayfly.journal import configure
from mayfly.model.errors import MayflyError, Misconfigured
from mayfly.model.journal import Journal
from mayfly.settings import Settings
from mayfly.wiring.embedded import Owner, embedded


def up(config: Path | None, options: Mapping[str, Any], leaving: Leaving) -> None:
    """Serve until told to stop.

    Raises:
        Misconfigured: with every fault there is.
    """
    settings = Settings.load(config, options, os.environ)
    configure(settings.log_format)
    forbid_core_dumps()
    leaving.unless_told()
    need_client(settings)
    reach = _reach(settings)
    certificate = _certificate(settings)
    with embedded(settings) as owner:
        _refuse_without_a_token(reach, owner, settings)
        listener = bind(settings.host, settings.port)
        given_back = owner.metadata.give_back_all()
        owner.journal("started", records=given_back or None)
        manager = ServiceManager(os.environ, partial(owner.stages.readiness.ready, owner.stages.clock))
        consumers = _consumers(settings, environment_of(config, options, os.environ), owner.journal)
        ending = Ending((owner.workers, owner.scheduler, owner.relay, consumers), owner.journal)

        def on_listening() -> None:
            # uvicorn listens for signals by now. It raises the one that stopped it once more when it is done.
            leaving.unless_told()
            leaving.left_to_others = True
            # The first line printed is the address; it is printed once connections are answered.
            print(address_of(listener, tls=reach.tls), flush=True)
            owner.scheduler.start()
            owner.workers.start()
            owner.relay.start()
            consumers.start()

        def on_stopping() -> None:
            manager.stopping()
            owner.stages.events.close()
            ending.begin()

        occasions = Occasions(on_listening, manager.beat, on_stopping)
        with listening(settings.data) as owner_listener, contextlib.ExitStack() as running:
            running.callback(_end, owner, ending)
            owner_app = create_owner_app(owner.stages)
            # Idle threads would be waited for like busy ones.
            running.callback(owner_app.state.pool.shutdown, wait=False)
            door = Door(create_app(owner.stages, reach, owner.metrics.http), listener, certificate)
            serve(door, Door(owner_app, owner_listener), owner.stages.clock, occasions)


def _end(owner: Owner, ending: Ending) -> None:
    ended = ending.wait()
    given_back = 0
    # What is refused here is done by the next start.
    with contextlib.suppress(MayflyError):
        given_back = owner.metadata.give_back_all()
    owner.journal("stopped", records=given_back or None)
    if not ended:
        ending.leave_now()


def _refuse_without_a_token(reach: Reach, owner: Owner, settings: Settings) -> None:
    if not (reach.loopback or owner.stages.tokens.any_live()):
        raise Misconfigured(
            f"host: listening on {settings.host} takes a token, and {settings.data} has none that is live: "
            "make one first, such as `mayfly token create --role uploader --expires 30d`"
        )


def _consumers(settings: Settings, environ: Mapping[str, str], journal: Journal) -> Consumers:
    wanted = settings.kafka is not None and bool(settings.topic)
    return Consumers(settings.kafka_consumers if wanted else 0, COMMAND, environ, journal)


def _reach(settings: Settings) -> Reach:
    return Reach(
        loopback=is_loopback(settings.host),
        tls=settings.tls_certificate is not None,
        behind_proxy=settings.behind_proxy,
        names=frozenset(settings.public_names),
    )


def _certificate(settings: Settings) -> Certificate | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_certificate, settings.tls_key)
