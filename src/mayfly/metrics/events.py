"""Events out: what sinks took, what they were given again, what they never got."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram

from mayfly.metrics.fields import Fields, Handler, number

_LAGS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0)


def families(registry: CollectorRegistry) -> Mapping[str, Handler]:
    """What each event counts. `sink` is a name that the settings give."""
    delivered = Counter("mayfly_events_delivered", "Events that a sink took.", ("sink",), registry=registry)
    retried = Counter("mayfly_events_retried", "Deliveries that are tried again.", ("sink",), registry=registry)
    dropped = Counter("mayfly_events_dropped", "Events that a sink never took.", ("sink",), registry=registry)
    lag = Histogram(
        "mayfly_events_lag_seconds",
        "From an event until its sink took it, in seconds.",
        ("sink",),
        buckets=_LAGS,
        registry=registry,
    )

    def on_delivered(fields: Fields) -> None:
        sink = str(fields["sink"])
        delivered.labels(sink).inc()
        lag.labels(sink).observe(max(0.0, number(fields, "seconds")))

    return {
        "event_delivered": on_delivered,
        "event_retried": lambda fields: retried.labels(str(fields["sink"])).inc(),
        "event_dropped": lambda fields: dropped.labels(str(fields["sink"])).inc(),
    }
