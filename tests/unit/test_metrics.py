"""The figures: what the rooms tell is counted, and docs/reference/metrics.md describes every family there is."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from mayfly.adapters.memory.dead_letters import MemoryDeadLetters
from mayfly.adapters.memory.event_log import MemoryEventLog
from mayfly.metrics import Metrics, readings
from mayfly.metrics.stream import StreamTotals, of_stream
from mayfly.model.consumption import ConsumerFigures, PartitionFigures
from mayfly.model.errors import Unavailable
from mayfly.model.stream import Partition
from support.house import House

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
ROOM = (10, 20)
PARTITION = PartitionFigures(Partition("photos", 0), 1, 1.0, 1.0)
_ROW = re.compile(r"\| `[a-z_]+` \| ")


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def metrics(house: House) -> Metrics:
    """With every reading that a server has."""
    made = Metrics()
    made.read(
        partial(readings.of_intake, frozenset),
        partial(readings.of_queue, house.queue, house.clock),
        partial(readings.of_workers, 2),
        partial(readings.of_store, lambda: ROOM, lambda: 30),
        partial(readings.of_clock, house.clock),
        partial(readings.of_readiness, lambda: True),
        partial(readings.of_streams, lambda: 3),
        partial(readings.of_sinks, ["books"], MemoryEventLog(house.metadata)),
        partial(readings.of_letters, MemoryDeadLetters(house.metadata)),
        partial(of_stream, StreamTotals(), lambda: [ConsumerFigures("a-1", (PARTITION,))]),
    )
    return made


def families(metrics: Metrics) -> dict[str, Metric]:
    page, _ = metrics.exposition("")
    return {family.name: family for family in text_string_to_metric_families(page.decode())}


def exposed(family: Metric) -> str:
    """A counter's samples carry a suffix that its family does not."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def labels_of(metrics: Metrics) -> dict[str, tuple[str, ...]]:
    """Declared ones, also of families that have counted nothing yet."""
    found: dict[str, tuple[str, ...]] = {}
    for collector in metrics.registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):
            found[collector._name] = tuple(collector._labelnames)
    for family in families(metrics).values():
        told = {name for sample in family.samples for name in sample.labels if name != "le"}
        found.setdefault(family.name, tuple(sorted(told)))
    return found


def rows(metrics: Metrics) -> list[str]:
    labels = labels_of(metrics)
    return [
        f"| `{exposed(family)}` | {family.type} | {', '.join(f'`{name}`' for name in labels[family.name])} "
        f"| {family.documentation} |"
        for family in families(metrics).values()
    ]


def test_the_page_describes_every_family_as_it_is_and_no_other(metrics: Metrics) -> None:
    told = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if _ROW.match(line)]
    ours = [row for row in told if not row.startswith("| `process_")]
    made = [row for row in rows(metrics) if not row.startswith("| `process_")]
    assert sorted(ours) == sorted(made)
    # These are the library's, and only some systems have them.
    assert {row.split("`")[1] for row in told} - {row.split("`")[1] for row in ours} == {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    }


def test_names_follow_the_conventions(metrics: Metrics) -> None:
    for family in families(metrics).values():
        name = exposed(family)
        assert re.fullmatch(r"(mayfly|process)_[a-z_]+", name), name
        assert not re.search(r"_(ms|millis|minutes?_seconds|kib|mib|percent)(_|$)", name), name
        assert family.documentation.endswith("."), name
        if "in seconds" in family.documentation:
            assert "_seconds" in name
        if "bytes" in family.documentation.lower() and name.startswith("mayfly_intake_b"):
            assert "_bytes" in name
        assert name.endswith("_total") == (family.type == "counter"), name


@pytest.mark.parametrize(
    ("event", "fields", "sample", "labels", "value"),
    [
        (
            "received",
            {"source": "http", "media_type": "image/png", "size": 7},
            "mayfly_intake_images_total",
            {"source": "http", "media_type": "image/png"},
            1,
        ),
        (
            "received",
            {"source": "http", "media_type": "image/png", "size": 7},
            "mayfly_intake_bytes_total",
            {"source": "http"},
            7,
        ),
        (
            "received",
            {"source": "http", "media_type": "x", "seconds": 0.25},
            "mayfly_intake_seconds_sum",
            {"source": "http"},
            0.25,
        ),
        (
            "admitted",
            {"source": "kafka", "media_type": "image/png", "size": 7},
            "mayfly_intake_bytes_total",
            {"source": "kafka"},
            7,
        ),
        (
            "refused",
            {"source": "http", "reason": "too-large"},
            "mayfly_intake_refused_total",
            {"source": "http", "problem": "too-large"},
            1,
        ),
        ("attempt_begun", {}, "mayfly_processing_attempts_total", {}, 1),
        ("attempt_begun", {}, "mayfly_workers_busy", {}, 1),
        ("processed", {}, "mayfly_processing_outcomes_total", {"outcome": "processed"}, 1),
        ("rejected", {"reason": "corrupt"}, "mayfly_processing_outcomes_total", {"outcome": "rejected"}, 1),
        ("failed", {}, "mayfly_processing_outcomes_total", {"outcome": "failed"}, 1),
        ("lease_lost", {}, "mayfly_processing_outcomes_total", {"outcome": "lease_lost"}, 1),
        ("given_back", {"counted": True}, "mayfly_processing_outcomes_total", {"outcome": "retried"}, 1),
        ("given_back", {"counted": False}, "mayfly_processing_outcomes_total", {"outcome": "given_back"}, 1),
        (
            "processed",
            {"timings": {"decode_ms": 250.0}},
            "mayfly_processing_stage_seconds_sum",
            {"stage": "decode"},
            0.25,
        ),
        ("processed", {"timings": {"queued_ms": 1_500.0}}, "mayfly_processing_queued_seconds_sum", {}, 1.5),
        ("worker_started", {}, "mayfly_worker_starts_total", {}, 1),
        ("worker_ended", {"reason": "worker-died"}, "mayfly_worker_deaths_total", {"reason": "worker-died"}, 1),
        ("worker_ended", {"reason": "quoted"}, "mayfly_worker_deaths_total", {"reason": "other"}, 1),
        ("worker_fault", {"reason": "text"}, "mayfly_worker_faults_total", {}, 1),
        ("swept", {"keys": 3, "unverified": 1, "at": 1_500}, "mayfly_retention_sweeps_total", {}, 1),
        ("swept", {"keys": 3, "unverified": 1, "at": 1_500}, "mayfly_retention_keys_destroyed_total", {}, 3),
        ("swept", {"keys": 3, "unverified": 1, "at": 1_500}, "mayfly_retention_unverified_minutes", {}, 1),
        (
            "swept",
            {"keys": 3, "unverified": 1, "at": 1_500},
            "mayfly_retention_last_sweep_timestamp_seconds",
            {},
            1.5,
        ),
        ("purged", {"originals": 2, "size": 9}, "mayfly_retention_purged_total", {"kind": "originals"}, 2),
        ("purged", {"originals": 2, "size": 9}, "mayfly_retention_purged_bytes_total", {}, 9),
        ("purged", {"lag_ms": 2_500}, "mayfly_retention_lag_seconds_sum", {}, 2.5),
        ("purge_unverified", {"renditions": 4}, "mayfly_retention_purged_total", {"kind": "renditions"}, 4),
        ("purge_unverified", {}, "mayfly_retention_delays_total", {}, 1),
        ("event_delivered", {"sink": "books", "seconds": 2}, "mayfly_events_delivered_total", {"sink": "books"}, 1),
        ("event_delivered", {"sink": "books", "seconds": 2}, "mayfly_events_lag_seconds_sum", {"sink": "books"}, 2),
        ("event_retried", {"sink": "books"}, "mayfly_events_retried_total", {"sink": "books"}, 1),
        ("event_dropped", {"sink": "books"}, "mayfly_events_dropped_total", {"sink": "books"}, 1),
        ("erased", {}, "mayfly_retention_erased_total", {}, 1),
        ("orphan_removed", {}, "mayfly_retention_orphans_removed_total", {}, 1),
        ("looked_around", {"strays": 5}, "mayfly_retention_strays", {}, 5),
    ],
)
def test_what_is_told_is_counted(
    metrics: Metrics,
    house: House,
    event: str,
    fields: dict[str, object],
    sample: str,
    labels: dict[str, str],
    value: float,
) -> None:
    before = metrics.registry.get_sample_value(sample, labels) or 0
    metrics.counting(house.told)(event, **fields)
    assert metrics.registry.get_sample_value(sample, labels) == before + value
    assert house.told.entries == [(event, fields)]


def test_a_worker_is_busy_for_as_long_as_its_attempt(metrics: Metrics, house: House) -> None:
    told = metrics.counting(house.told)
    told("attempt_begun")
    told("attempt_ended")
    assert metrics.registry.get_sample_value("mayfly_workers_busy") == 0


def test_gauges_are_read_when_they_are_asked_for(metrics: Metrics, house: House) -> None:
    house.admit()
    house.clock.move(2_000)
    assert metrics.registry.get_sample_value("mayfly_queue_jobs", {"state": "waiting"}) == 1
    assert metrics.registry.get_sample_value("mayfly_queue_oldest_image_age_seconds") == 2
    house.queue.receive(1, 60_000, 0)
    assert metrics.registry.get_sample_value("mayfly_queue_jobs", {"state": "waiting"}) == 0
    assert metrics.registry.get_sample_value("mayfly_queue_jobs", {"state": "hidden"}) == 1
    assert metrics.registry.get_sample_value("mayfly_store_free_bytes") == ROOM[0]


def test_what_cannot_be_read_keeps_nothing_else_back(metrics: Metrics) -> None:
    def broken() -> Iterator[Metric]:
        yield GaugeMetricFamily("mayfly_half", "Told before the fault.", 1)
        raise Unavailable("the server is stopping")

    metrics.read(broken)
    told = families(metrics)
    assert "mayfly_half" not in told
    assert "mayfly_clock_held" in told


def test_openmetrics_is_given_to_who_asks_for_it(metrics: Metrics) -> None:
    plain, plain_type = metrics.exposition("*/*")
    asked, asked_type = metrics.exposition("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert plain_type.startswith("text/plain; version=0.0.4")
    assert asked_type.startswith("application/openmetrics-text; version=1.0.0")
    assert asked.endswith(b"# EOF\n")
    assert not plain.endswith(b"# EOF\n")
