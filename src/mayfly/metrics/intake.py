"""What came in, and what was refused."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram

from mayfly.metrics.fields import PAUSES, Fields, Handler, number


def families(registry: CollectorRegistry) -> Mapping[str, Handler]:
    """What each event counts."""
    images = Counter(
        "mayfly_intake_images", "Images taken in and acknowledged.", ("source", "media_type"), registry=registry
    )
    size = Counter("mayfly_intake_bytes", "Bytes of the images taken in.", ("source",), registry=registry)
    seconds = Histogram(
        "mayfly_intake_seconds",
        "From the beginning of an image's bytes until it was durable, in seconds.",
        ("source",),
        buckets=PAUSES,
        registry=registry,
    )
    refused = Counter(
        "mayfly_intake_refused",
        "Images refused, by the type of problem that was answered.",
        ("source", "problem"),
        registry=registry,
    )

    def on_admitted(fields: Fields) -> None:
        source = str(fields["source"])
        images.labels(source, str(fields["media_type"])).inc()
        size.labels(source).inc(number(fields, "size"))

    def on_received(fields: Fields) -> None:
        on_admitted(fields)
        seconds.labels(str(fields["source"])).observe(number(fields, "seconds"))

    def on_refused(fields: Fields) -> None:
        refused.labels(str(fields["source"]), str(fields["reason"])).inc()

    return {"admitted": on_admitted, "received": on_received, "refused": on_refused}
