"""Figures for Prometheus, counted from what the rooms tell their journal and read from the ports at each scrape.

No room knows of this one: it tells its journal what changed, as it does for the log, and the module of that name here
counts it. A room that is added gets a module here with its `families`, a line in `_ROOMS`, and its rows in
docs/reference/metrics.md. No label holds an id, a name or any other text of a caller's: each has a few fixed values.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Info, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mayfly import __version__
from mayfly.metrics import events, intake, processing, retention
from mayfly.metrics.fields import Handler
from mayfly.metrics.http import HttpFigures
from mayfly.model.errors import MayflyError
from mayfly.model.journal import Journal

_ROOMS = (intake, processing, retention, events)

Read = Callable[[], Iterable[Metric]]


class Metrics:
    """All families of one server, in a registry of their own."""

    def __init__(self) -> None:
        # Else each counter brings a gauge with the time of its making, which nobody asked for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._handlers: dict[str, list[Handler]] = defaultdict(list)
        for room in _ROOMS:
            for event, handler in room.families(self.registry).items():
                self._handlers[event].append(handler)
        self.http = HttpFigures(self.registry)
        Info("mayfly_build", "The version that runs.", registry=self.registry).info({"version": __version__})
        ProcessCollector(registry=self.registry)

    def counting(self, journal: Journal) -> Journal:
        """A journal that counts what it is told before it passes it on."""

        def told(event: str, **fields: object) -> None:
            for handler in self._handlers.get(event, ()):
                handler(fields)
            journal(event, **fields)

        return told

    def read(self, *reads: Read) -> None:
        """Ask these at each scrape. What cannot be read just then is left out, and keeps nothing else back."""
        for read in reads:
            self.registry.register(_Reading(read))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type: Prometheus's text format 0.0.4, or OpenMetrics where `accept` asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class _Reading(Collector):
    def __init__(self, read: Read) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        try:
            return list(self._read())
        except (MayflyError, OSError):
            return []
