"""The second door: what its consumers tell of themselves, added up over all of them.

Counters never fall when a consumer ends: the differences between its reports are added, not what it says in all. One
that is killed takes with it what it had not reported, two seconds' worth.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from mayfly.metrics.fields import one_of
from mayfly.model.consumption import ConsumerFigures

OUTCOMES = ("created", "found", "due", "erased", "buried")
_REMEMBERED = 256
"""Consumers whose last report is known, those that ended included."""
_TOTALS = {
    "bytes": ("mayfly_stream_bytes", "Bytes of the records that consumers are done with."),
    "retries": ("mayfly_stream_retries", "Times that a record has to be taken again, for what passes."),
    "rebalances": ("mayfly_stream_rebalances", "Times that a consumer was given other partitions."),
    "letters": ("mayfly_stream_letters", "Dead letters written to their topic."),
    "trimmed": ("mayfly_stream_trims", "Times that records were deleted from a topic."),
}


class StreamTotals:
    """Counts from the owner's start. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: OrderedDict[str, Counter[str]] = OrderedDict()
        self._totals: Counter[str] = Counter()

    def count(self, figures: ConsumerFigures) -> None:
        """Add what is new in a consumer's report."""
        told = Counter({f"records.{outcome}": count for outcome, count in figures.records.items()})
        told.update({name: getattr(figures, name) for name in _TOTALS})
        with self._lock:
            last = self._last.pop(figures.consumer, Counter())
            if any(told[name] < last[name] for name in last):
                # Another process under a name that was used before: it began at nothing.
                last = Counter()
            self._totals.update({name: count - last[name] for name, count in told.items()})
            self._last[figures.consumer] = told
            while len(self._last) > _REMEMBERED:
                self._last.popitem(last=False)

    def all(self) -> Counter[str]:
        with self._lock:
            return Counter(self._totals)


def of_stream(totals: StreamTotals, told: Callable[[], Sequence[ConsumerFigures]]) -> Iterator[Metric]:
    """`told` gives the latest report of each consumer at work."""
    counted, consumers = totals.all(), told()
    yield from _gauges(consumers)
    known = frozenset(OUTCOMES)
    by_outcome: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
    for name, count in counted.items():
        if name.startswith("records."):
            by_outcome[one_of(known, name.removeprefix("records."))] += count
    records = CounterMetricFamily(
        "mayfly_stream_records",
        "Records that consumers are done with: created an image, found it here already, due or erased by now, "
        "buried (a dead letter).",
        labels=("outcome",),
    )
    for outcome, count in by_outcome.items():
        records.add_metric((outcome,), count)
    yield records
    for name, (family, meaning) in _TOTALS.items():
        yield CounterMetricFamily(family, meaning, counted[name])


def _gauges(consumers: Sequence[ConsumerFigures]) -> Iterator[Metric]:
    yield GaugeMetricFamily("mayfly_stream_consumers", "Consumers at work.", len(consumers))
    yield GaugeMetricFamily(
        "mayfly_stream_in_flight_bytes",
        "Bytes of records that were read and are not durable yet.",
        sum(one.bytes_in_flight for one in consumers),
    )
    yield GaugeMetricFamily(
        "mayfly_stream_in_flight_records",
        "Records that were read and are not durable yet.",
        sum(one.records_in_flight for one in consumers),
    )
    families = (
        ("mayfly_stream_lag_records", "Records that the group has not done with.", "lag"),
        ("mayfly_stream_lag_seconds", "How long the oldest of these has waited, in seconds.", "lag_seconds"),
        (
            "mayfly_stream_oldest_record_age_seconds",
            "The age of the oldest record that the topic still holds, in seconds: a hidden copy lives so long.",
            "oldest_age_seconds",
        ),
    )
    partitions = [one for consumer in consumers for one in consumer.partitions]
    for name, meaning, field in families:
        values: dict[tuple[str, str], float] = {}
        for one in partitions:
            value = getattr(one, field)
            if value is not None:
                # A partition that moves is told of by two for a moment: the worse counts.
                place = (one.partition.topic, str(one.partition.number))
                values[place] = max(value, values.get(place, value))
        family = GaugeMetricFamily(name, meaning, labels=("topic", "partition"))
        for place, value in values.items():
            family.add_metric(place, value)
        yield family
