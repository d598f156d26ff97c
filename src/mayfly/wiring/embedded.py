"""The composition root of the owner: everything on one machine. No logic, only names put together."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event

from mayfly.adapters.local.clock import SystemClock
from mayfly.adapters.local.data_folder import DataFolder
from mayfly.adapters.local.database import Database
from mayfly.adapters.local.dead_letters import SqliteDeadLetters
from mayfly.adapters.local.durable import opening
from mayfly.adapters.local.event_log import SqliteEventLog
from mayfly.adapters.local.key_store import SlotKeyStore
from mayfly.adapters.local.metadata_store import SqliteMetadataStore
from mayfly.adapters.local.object_store import LocalObjectStore
from mayfly.adapters.local.retention_history import SqliteRetentionHistory
from mayfly.adapters.local.token_store import SqliteTokenStore
from mayfly.adapters.local.work_queue import SqliteWorkQueue
from mayfly.adapters.memory.under_way import MemoryUnderWay
from mayfly.adapters.webhook.event_sink import WebhookEventSink
from mayfly.entrypoints.http.stages import Readiness, Stages
from mayfly.entrypoints.http.streams import EventStreams
from mayfly.entrypoints.relay import Outlet, Relay
from mayfly.entrypoints.scheduler import Scheduler
from mayfly.entrypoints.worker import WorkerPool
from mayfly.intake.admit import Forms
from mayfly.intake.intake import Intake
from mayfly.intake.receive import IntakeLimits, UploadDoor
from mayfly.intake.redrive import Redrive
from mayfly.intake.sessions import Sessions
from mayfly.journal import journal
from mayfly.metrics import Metrics, Read, readings
from mayfly.metrics.stream import StreamTotals, of_stream
from mayfly.model.event import SENT
from mayfly.model.image import Source
from mayfly.model.instant import SECOND
from mayfly.model.journal import Journal
from mayfly.model.retention import Retention
from mayfly.model.terms import Terms
from mayfly.operations.tokens import Tokens
from mayfly.ports.clock import Clock
from mayfly.ports.event_log import EventLog
from mayfly.ports.metadata_store import MetadataStore
from mayfly.ports.work_queue import WorkQueue
from mayfly.processing.limits import Limits
from mayfly.processing.own.call import OwnSteps
from mayfly.processing.process import Processing
from mayfly.processing.recipe import longest_run
from mayfly.processing.reprocess import Reprocess
from mayfly.processing.sandbox import Sandbox
from mayfly.processing.verdicts import Stores
from mayfly.queries.find import Find
from mayfly.queries.letters import Letters
from mayfly.queries.open import Open
from mayfly.retention.declare import Retentions
from mayfly.retention.erase import Erasure
from mayfly.retention.reconcile import Reconcile
from mayfly.retention.sweep import Sweep
from mayfly.settings import Settings
from mayfly.settings.kafka import KAFKA_SINK
from mayfly.settings.webhooks import read_secrets
from mayfly.vault.vault import Vault

_LEASE_MARGIN_SECONDS = 30
"""Beside the limits of the worker and of the user's own steps: opening, sealing and storing, on a slow disk."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One machine's server, put together but not started."""

    stages: Stages
    scheduler: Scheduler
    workers: WorkerPool
    relay: Relay
    metadata: MetadataStore
    metrics: Metrics
    journal: Journal
    """The log, and the figures that are counted from what it is told."""


@contextlib.contextmanager
def embedded(settings: Settings) -> Iterator[Owner]:
    """Everything on one machine: files, SQLite, worker processes.

    Raises:
        Misconfigured: the folders cannot be owned or opened.
    """
    secrets = read_secrets(settings.webhooks, os.environ)
    with _opened(settings) as (folder, clock, keys, database, objects):
        metrics = Metrics()
        told = metrics.counting(journal)
        metadata = SqliteMetadataStore(database, clock)
        queue = SqliteWorkQueue(database, clock)
        events = SqliteEventLog(database)
        vault = Vault(objects, keys, clock)

        under_way = MemoryUnderWay(settings.max_uploads)
        intake = Intake(vault, objects, metadata, keys, clock, under_way, told)
        sweep = Sweep(objects, metadata, keys, clock, told, settings.form_lifetime)
        retentions = Retentions(SqliteRetentionHistory(database), _retentions(settings), clock, told)
        retentions.declare()
        letters = SqliteDeadLetters(database, clock)
        totals = StreamTotals()
        terms = partial(_terms, settings, retentions)
        sessions = Sessions(metadata, objects, keys, letters, clock, terms, counted=totals.count, journal=told)
        reconcile = Reconcile(
            objects, metadata, keys, lambda: under_way.ids() | sessions.ids(), told, alone=sessions.alone
        )
        readiness = Readiness()
        stores = Stores(vault, objects, metadata, queue, keys, clock)
        streams = EventStreams(events, told)
        outlets = _outlets(settings, secrets, folder.origin)
        metrics.read(*_readings(settings, folder, queue, clock, under_way, readiness))
        metrics.read(*_of_events(outlets, events, streams), *_of_stream(settings, totals, sessions, letters))
        yield Owner(
            stages=Stages(
                uploads=UploadDoor(intake, _intake_limits(settings)),
                forms=Forms(intake, metadata, _intake_limits(settings), settings.form_lifetime, settings.max_forms),
                sessions=sessions,
                find=Find(metadata, keys, vault),
                open=Open(metadata, vault),
                erasure=Erasure(objects, metadata, keys, told),
                reprocess=Reprocess(metadata, queue, keys, settings.renditions, told),
                letters=Letters(letters, keys),
                redrive=Redrive(letters, metadata, queue, vault, clock, settings.max_pixels, told),
                sweep=sweep,
                reconcile=reconcile,
                clock=clock,
                readiness=readiness,
                events=streams,
                exposition=metrics.exposition,
                tokens=Tokens(SqliteTokenStore(database), clock, told),
            ),
            scheduler=Scheduler(clock, keys, sweep, reconcile, events, readiness.swept, told),
            relay=Relay(outlets, events, clock, told),
            workers=_workers(settings, folder, stores, told),
            metadata=metadata,
            metrics=metrics,
            journal=told,
        )


@contextlib.contextmanager
def tokens_alone(settings: Settings) -> Iterator[Tokens]:
    """The tokens of a folder that no server runs on. The folder is made if it is missing.

    Raises:
        Owned: a server runs on it; ask that one.
        Misconfigured: the folders cannot be owned or opened.
    """
    with _opened(settings) as (_, clock, _, database, _):
        yield Tokens(SqliteTokenStore(database), clock, _untold)


def _untold(event: str, **fields: object) -> None:
    """Where no server runs there is no log; whoever gave the command is told by its answer."""


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[tuple[DataFolder, SystemClock, SlotKeyStore, Database, LocalObjectStore]]:
    """What has files, each opened after what it rests on, and closed in the opposite order."""
    with contextlib.ExitStack() as open_things:
        folder = DataFolder(settings.data, settings.keys_folder, movable_clock=settings.clock is not None)
        open_things.callback(folder.close)
        with opening("--data"):
            clock = SystemClock(folder.path / "clock.tick", settings.clock)
            open_things.callback(clock.close)
        # Before the database: that one is there says that the keys were made.
        with opening("--keys"):
            keys = SlotKeyStore(settings.keys_folder)
            open_things.callback(keys.close)
        with opening("--data"):
            database = Database(folder.path / "mayfly.db")
            open_things.callback(database.close)
            objects = LocalObjectStore(folder.path / "objects", clock)
        yield folder, clock, keys, database, objects


def _workers(settings: Settings, folder: DataFolder, stores: Stores, told: Journal) -> WorkerPool:
    limits = _worker_limits(settings)
    longest = longest_run(settings.renditions, settings.worker_seconds)
    lease_ms = round((longest + _LEASE_MARGIN_SECONDS) * SECOND)
    open_own_steps = partial(OwnSteps, (folder.path.resolve(), settings.keys_folder.resolve()))
    open_own_steps().check(leg.own for recipe in settings.renditions for leg in recipe.legs)

    def make_sandbox() -> Sandbox:
        return Sandbox(limits, settings.renditions, journal=told)

    def make_processing(sandbox: Sandbox, own_steps: OwnSteps, stopping: Event) -> Processing:
        return Processing(stores, sandbox, own_steps, settings.attempts, lease_ms, told, stopping)

    return WorkerPool(settings.workers, make_sandbox, open_own_steps, make_processing, told)


def _of_events(outlets: Sequence[Outlet], log: EventLog, streams: EventStreams) -> tuple[Read, ...]:
    sinks = [outlet.name for outlet in outlets]
    return partial(readings.of_streams, lambda: streams.count), partial(readings.of_sinks, sinks, log)


def _of_stream(
    settings: Settings, totals: StreamTotals, sessions: Sessions, letters: SqliteDeadLetters
) -> tuple[Read, ...]:
    if not settings.topic:
        return ()
    return partial(of_stream, totals, sessions.figures), partial(readings.of_letters, letters)


def _outlets(settings: Settings, secrets: Mapping[str, bytes], origin: str) -> list[Outlet]:
    outlets = [
        Outlet(
            webhook.name,
            WebhookEventSink(webhook.url, secrets[webhook.name], origin, allow_private=webhook.allow_private),
            frozenset(webhook.states),
        )
        for webhook in settings.webhooks
    ]
    if settings.kafka_events is not None:
        from mayfly.wiring.kafka import event_sink_of  # only now: Kafka's client is an extra

        sink = event_sink_of(settings, os.environ, settings.kafka_events, origin)
        outlets.append(Outlet(KAFKA_SINK, sink, frozenset(SENT)))
    return outlets


def _retentions(settings: Settings) -> Mapping[Source, Retention]:
    return {Source.HTTP: settings.retention, Source.KAFKA: settings.kafka_retention or settings.retention}


def _terms(settings: Settings, retentions: Retentions) -> Terms:
    """Those of this moment, for a stream's records."""
    return Terms(
        source_name=settings.kafka_source_name,
        history=retentions.of(Source.KAFKA),
        max_bytes=settings.max_bytes,
        max_pixels=settings.max_pixels,
        labels=settings.labels,
    )


def _intake_limits(settings: Settings) -> IntakeLimits:
    return IntakeLimits(
        max_bytes=settings.max_bytes,
        max_pixels=settings.max_pixels,
        retention=settings.retention,
        labels=settings.labels,
    )


def _worker_limits(settings: Settings) -> Limits:
    limits = Limits(
        memory=settings.worker_memory,
        seconds=settings.worker_seconds,
        pixels=settings.max_pixels,
        frames=settings.max_frames,
    )
    return limits.with_whole_pictures() if any(recipe.legs for recipe in settings.renditions) else limits


def _readings(
    settings: Settings,
    folder: DataFolder,
    queue: WorkQueue,
    clock: Clock,
    under_way: MemoryUnderWay,
    readiness: Readiness,
) -> tuple[Read, ...]:
    """What is read at each scrape."""
    return (
        partial(readings.of_intake, under_way.ids),
        partial(readings.of_queue, queue, clock),
        partial(readings.of_workers, settings.workers),
        partial(readings.of_store, folder.room, folder.database_bytes),
        partial(readings.of_clock, clock),
        partial(readings.of_readiness, partial(readiness.ready, clock)),
    )
