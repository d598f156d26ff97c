"""What was destroyed, how late, and what could not be."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mayfly.metrics.fields import Fields, Handler, number

_LAGS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 86_400.0)
_KINDS = ("originals", "renditions", "records")


def families(registry: CollectorRegistry) -> Mapping[str, Handler]:
    """What each event counts."""
    return {**_sweeps(registry), **_minutes(registry), **_others(registry)}


def _sweeps(registry: CollectorRegistry) -> Mapping[str, Handler]:
    sweeps = Counter("mayfly_retention_sweeps", "Purge runs that came to their end.", registry=registry)
    keys = Counter("mayfly_retention_keys_destroyed", "Minute keys destroyed.", registry=registry)
    unverified = Gauge(
        "mayfly_retention_unverified_minutes",
        "Minutes of which the last run found something still standing. More than 0 for long: look at the log.",
        registry=registry,
    )
    last = Gauge(
        "mayfly_retention_last_sweep_timestamp_seconds",
        "When the last run ended, by the server's clock, in seconds since 1970; 0 before the first.",
        registry=registry,
    )

    def on_swept(fields: Fields) -> None:
        sweeps.inc()
        keys.inc(number(fields, "keys"))
        unverified.set(number(fields, "unverified"))
        last.set(number(fields, "at") / 1_000)

    return {"swept": on_swept}


def _minutes(registry: CollectorRegistry) -> Mapping[str, Handler]:
    purged = Counter(
        "mayfly_retention_purged", "What was purged: originals, renditions, records.", ("kind",), registry=registry
    )
    size = Counter("mayfly_retention_purged_bytes", "Stored bytes that were purged.", registry=registry)
    lag = Histogram(
        "mayfly_retention_lag_seconds",
        "From a minute's end until a listing found nothing of it, in seconds, for each minute that held anything.",
        buckets=_LAGS,
        registry=registry,
    )
    delayed = Counter(
        "mayfly_retention_delays",
        "Purges of a minute that could not be done or verified and are tried again.",
        registry=registry,
    )
    for kind in _KINDS:
        purged.labels(kind)

    def on_removed(fields: Fields) -> None:
        for kind in _KINDS:
            purged.labels(kind).inc(number(fields, kind))
        size.inc(number(fields, "size"))

    def on_purged(fields: Fields) -> None:
        on_removed(fields)
        lag.observe(number(fields, "lag_ms") / 1_000)

    def on_unverified(fields: Fields) -> None:
        on_removed(fields)
        delayed.inc()

    return {"purged": on_purged, "purge_unverified": on_unverified}


def _others(registry: CollectorRegistry) -> Mapping[str, Handler]:
    erased = Counter("mayfly_retention_erased", "Images erased early.", registry=registry)
    orphans = Counter("mayfly_retention_orphans_removed", "Stored objects that no record spoke of.", registry=registry)
    strays = Gauge(
        "mayfly_retention_strays",
        "Names in the store that are not Mayfly's, as the last reconcile found them.",
        registry=registry,
    )
    return {
        "erased": lambda _: erased.inc(),
        "orphan_removed": lambda _: orphans.inc(),
        "looked_around": lambda fields: strays.set(number(fields, "strays")),
    }
