"""Attempts, what became of them, where their time went, and the workers' lives."""

from collections.abc import Mapping
from functools import partial
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mayfly.metrics.fields import PAUSES, Fields, Handler, one_of

_LONG_PAUSES = (0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 43_200.0)
_ENDS = frozenset({"worker-died", "worker-overdue", "worker-unbelievable"})
_QUEUED = "queued_ms"


def families(registry: CollectorRegistry) -> Mapping[str, Handler]:
    """What each event counts."""
    return {**_attempts(registry), **_workers(registry)}


def _attempts(registry: CollectorRegistry) -> Mapping[str, Handler]:
    attempts = Counter("mayfly_processing_attempts", "Attempts begun.", registry=registry)
    busy = Gauge("mayfly_workers_busy", "Workers that have an image in hand.", registry=registry)
    outcomes = Counter(
        "mayfly_processing_outcomes",
        "Attempts ended: processed, rejected and failed end an image's processing; retried counts against it, "
        "given_back does not; lease_lost was somebody else's by then.",
        ("outcome",),
        registry=registry,
    )
    queued = Histogram(
        "mayfly_processing_queued_seconds",
        "From an image's birth to the attempt that processed it, in seconds.",
        buckets=_LONG_PAUSES,
        registry=registry,
    )
    stages = Histogram(
        "mayfly_processing_stage_seconds",
        "A processed image's time in each stage: open, decode, resize, encode, facts, own, store; in seconds.",
        ("stage",),
        buckets=PAUSES,
        registry=registry,
    )

    def on_begun(_: Fields) -> None:
        attempts.inc()
        busy.inc()

    def on_ended(outcome: str, fields: Fields) -> None:
        outcomes.labels(outcome).inc()
        for name, milliseconds in cast("Mapping[str, float]", fields.get("timings") or {}).items():
            seconds = milliseconds / 1_000
            if name == _QUEUED:
                queued.observe(seconds)
            else:
                stages.labels(name.removesuffix("_ms")).observe(seconds)

    def on_given_back(fields: Fields) -> None:
        on_ended("retried" if fields.get("counted") else "given_back", fields)

    verdicts = {outcome: partial(on_ended, outcome) for outcome in ("processed", "failed", "rejected", "lease_lost")}
    return {
        "attempt_begun": on_begun,
        "attempt_ended": lambda _: busy.dec(),
        "given_back": on_given_back,
        **verdicts,
    }


def _workers(registry: CollectorRegistry) -> Mapping[str, Handler]:
    starts = Counter("mayfly_worker_starts", "Worker processes started.", registry=registry)
    deaths = Counter(
        "mayfly_worker_deaths",
        "Worker processes that ended unasked, or were killed: worker-died, worker-overdue, worker-unbelievable.",
        ("reason",),
        registry=registry,
    )
    faults = Counter(
        "mayfly_worker_faults",
        "Defects of ours that a worker's thread ran into; the log says which.",
        registry=registry,
    )
    return {
        "worker_started": lambda _: starts.inc(),
        "worker_ended": lambda fields: deaths.labels(one_of(_ENDS, fields.get("reason"))).inc(),
        "worker_fault": lambda _: faults.inc(),
    }
