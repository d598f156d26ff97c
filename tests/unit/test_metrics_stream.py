"""The second door's figures: sums over consumers that come and go, and counters that never fall."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from mayfly.entrypoints.consumer_report import reporting
from mayfly.metrics.stream import StreamTotals, of_stream
from mayfly.model.consumption import ConsumerFigures, PartitionFigures
from mayfly.model.stream import Partition
from mayfly.model.wire import figures_of, figures_to_json
from support.server import until

ZERO, ONE = Partition("photos", 0), Partition("photos", 1)
FIRST = ConsumerFigures(
    "a-1",
    (PartitionFigures(ZERO, 3, 1.5, 60.0), PartitionFigures(ONE, None, None, 9.0)),
    bytes_in_flight=10,
    records_in_flight=2,
    records={"created": 5, "buried": 1},
    bytes=500,
    retries=1,
    rebalances=2,
    letters=1,
)


class Page:
    """What a scrape shows, of consumers whose latest reports are `told`."""

    def __init__(self) -> None:
        self.totals = StreamTotals()
        self.told: Sequence[ConsumerFigures] = ()
        self.registry = CollectorRegistry()
        self.registry.register(self._collector())

    def _collector(self) -> Collector:
        page = self

        class Reading(Collector):
            def collect(self) -> list[object]:  # type: ignore[override]
                return list(of_stream(page.totals, lambda: page.told))

        return Reading()

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"mayfly_stream_{name}", labels)


@pytest.fixture
def page() -> Page:
    return Page()


def test_figures_come_over_the_line_as_they_were() -> None:
    assert figures_of(figures_to_json(FIRST)) == FIRST


def test_gauges_are_sums_and_a_moving_partitions_worse_word_counts(page: Page) -> None:
    second = ConsumerFigures("b-2", (PartitionFigures(ZERO, 7, 0.5, 61.0),), bytes_in_flight=5, records_in_flight=1)
    page.told = (FIRST, second)
    assert page.value("consumers") == 2
    assert page.value("in_flight_bytes") == 15
    assert page.value("in_flight_records") == 3
    assert page.value("lag_records", topic="photos", partition="0") == 7
    assert page.value("lag_seconds", topic="photos", partition="0") == 1.5
    assert page.value("oldest_record_age_seconds", topic="photos", partition="1") == 9
    assert page.value("lag_records", topic="photos", partition="1") is None, "what is not known is not told as 0"
    page.told = ()
    assert page.value("consumers") == 0
    assert page.value("lag_records", topic="photos", partition="0") is None


def test_counters_add_what_is_new_and_never_fall(page: Page) -> None:
    assert page.value("records_total", outcome="created") == 0
    page.totals.count(FIRST)
    page.totals.count(FIRST)
    assert page.value("records_total", outcome="created") == 5
    assert page.value("bytes_total") == 500
    page.totals.count(replace(FIRST, records={"created": 8, "buried": 1, "due": 2}, bytes=900))
    assert page.value("records_total", outcome="created") == 8
    assert page.value("records_total", outcome="due") == 2
    # It was killed; another one begins at nothing, under a name of its own.
    page.totals.count(replace(FIRST, consumer="a-9"))
    assert page.value("records_total", outcome="created") == 13
    assert page.value("letters_total") == 2
    assert page.value("retries_total") == 2
    assert page.value("rebalances_total") == 4


def test_a_name_that_is_used_again_is_another_consumer(page: Page) -> None:
    page.totals.count(FIRST)
    page.totals.count(ConsumerFigures("a-1", records={"created": 1}))
    assert page.value("records_total", outcome="created") == 6


def test_an_outcome_nobody_knows_makes_no_label_of_its_own(page: Page) -> None:
    page.totals.count(ConsumerFigures("a-1", records={"0123": 1}))
    assert page.value("records_total", outcome="other") == 1
    assert page.value("records_total", outcome="0123") is None


def test_figures_are_told_again_and_again_and_once_more_at_the_end() -> None:
    told: list[ConsumerFigures] = []
    now = FIRST
    with reporting(lambda: now, told.append, seconds=0.01):
        until(lambda: len(told) >= 3, "three reports")
        now = replace(FIRST, bytes=501)
        seen = len(told)
    assert told[-1].bytes == 501
    assert len(told) > seen
