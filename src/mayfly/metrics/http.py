"""Requests, as the HTTP edge tells of them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mayfly.metrics.fields import PAUSES, one_of

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpFigures:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "mayfly_http_requests",
            "Requests ended, by route template (none: no route was reached) and class of status (cut: none was sent).",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "mayfly_http_request_seconds",
            "From a request's head to the end of its response, in seconds.",
            ("method", "route"),
            buckets=PAUSES,
            registry=registry,
        )
        self._problems = Counter(
            "mayfly_http_problems", "Problem details answered, by their type.", ("problem",), registry=registry
        )
        self._in_flight = Gauge("mayfly_http_requests_in_flight", "Requests under way.", registry=registry)

    def begun(self) -> None:
        self._in_flight.inc()

    def ended(self, method: str, route: str | None, status: int | None, seconds: float, problem: str | None) -> None:
        """`route` is a template, never a path; `status` None where no response began."""
        method, route = one_of(_METHODS, method), route or "none"
        self._in_flight.dec()
        self._requests.labels(method, route, "cut" if status is None else f"{status // 100}xx").inc()
        self._seconds.labels(method, route).observe(seconds)
        if problem is not None:
            self._problems.labels(problem).inc()
