"""Figures that are read when they are asked for. What each costs does not grow with the number of images."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from mayfly.ports.clock import Clock
from mayfly.ports.dead_letters import LettersStanding
from mayfly.ports.event_log import EventLog
from mayfly.ports.work_queue import WorkQueue


def of_intake(in_flight: Callable[[], frozenset[object]]) -> Iterator[Metric]:
    yield GaugeMetricFamily("mayfly_intake_in_flight", "Images being received.", len(in_flight()))


def of_queue(queue: WorkQueue, clock: Clock) -> Iterator[Metric]:
    backlog = queue.backlog()
    jobs = GaugeMetricFamily(
        "mayfly_queue_jobs", "Jobs that wait, and jobs in hand or put off for a while.", labels=("state",)
    )
    jobs.add_metric(("waiting",), backlog.waiting)
    jobs.add_metric(("hidden",), backlog.hidden)
    yield jobs
    age = 0.0 if backlog.oldest is None else max(0, clock.now() - backlog.oldest) / 1_000
    yield GaugeMetricFamily(
        "mayfly_queue_oldest_image_age_seconds", "The age of the oldest image that has a job; 0 without jobs.", age
    )
    yield GaugeMetricFamily(
        "mayfly_queue_dead_letters", "Jobs whose attempts are spent: images that failed.", backlog.dead_letters
    )


def of_streams(count: Callable[[], int]) -> Iterator[Metric]:
    yield GaugeMetricFamily("mayfly_event_streams", "Streams of events that are open.", count())


def of_sinks(sinks: Sequence[str], log: EventLog) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "mayfly_events_waiting", "Events told since the last one that is known to be settled.", labels=("sink",)
    )
    newest = log.newest()
    for sink in sinks:
        waiting.add_metric((sink,), newest - (log.cursor(sink) or newest))
    yield waiting


def of_letters(letters: LettersStanding) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "mayfly_stream_letters_open", "Dead letters of records that wait for a person.", letters.standing()
    )


def of_workers(count: int) -> Iterator[Metric]:
    yield GaugeMetricFamily("mayfly_workers", "Workers there are to be.", count)


def of_store(room: Callable[[], tuple[int, int]], database_bytes: Callable[[], int]) -> Iterator[Metric]:
    """`room` gives the free and all bytes of the file system the data are on."""
    free, capacity = room()
    yield GaugeMetricFamily("mayfly_store_free_bytes", "Room on the file system of the data folder, in bytes.", free)
    yield GaugeMetricFamily("mayfly_store_capacity_bytes", "Size of that file system, in bytes.", capacity)
    yield GaugeMetricFamily(
        "mayfly_store_database_bytes", "The database and its log on disk, in bytes.", database_bytes()
    )


def of_clock(clock: Clock) -> Iterator[Metric]:
    held = clock.held()
    yield GaugeMetricFamily("mayfly_clock_held", "1 while the clock waits to be confirmed after a jump.", float(held))
    yield GaugeMetricFamily(
        "mayfly_clock_timestamp_seconds", "The server's time, in seconds since 1970.", clock.now() / 1_000
    )


def of_readiness(ready: Callable[[], bool]) -> Iterator[Metric]:
    yield GaugeMetricFamily("mayfly_ready", "1 while /readyz answers 200.", float(ready()))
