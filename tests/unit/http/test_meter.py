"""Requests are counted by route and outcome; nothing that a caller chooses becomes a label."""

from typing import cast

import pytest

from mayfly.entrypoints.http.app import create_app
from mayfly.entrypoints.http.stages import Stages
from mayfly.metrics import Metrics
from mayfly.model.errors import NotFound
from support.asgi import ask

IDENTITY = "019dd5ec-4b1f-89d8-8123-456789abcdef"


class _Missing:
    def __getattr__(self, name: str) -> object:
        raise NotFound("nothing is here")


class _Broken:
    def __getattr__(self, name: str) -> object:
        raise RuntimeError("a defect of ours")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def call(metrics: Metrics, method: str, path: str, stages: object = None, **how: object) -> int:
    app = create_app(cast("Stages", stages or _Missing()), figures=metrics.http)
    return ask(app, method, path, **how).status_code


def counted(metrics: Metrics, method: str, route: str, status: str) -> float | None:
    labels = {"method": method, "route": route, "status": status}
    return metrics.registry.get_sample_value("mayfly_http_requests_total", labels)


def test_a_request_is_counted_under_its_template(metrics: Metrics) -> None:
    assert call(metrics, "GET", f"/v1/images/{IDENTITY}") == 404
    assert counted(metrics, "GET", "/v1/images/{image_id}", "4xx") == 1
    assert metrics.registry.get_sample_value("mayfly_http_problems_total", {"problem": "not-found"}) == 1
    assert IDENTITY.encode() not in metrics.exposition("")[0]


def test_its_seconds_are_observed_and_it_is_in_flight_no_more(metrics: Metrics) -> None:
    assert call(metrics, "GET", "/healthz") == 200
    labels = {"method": "GET", "route": "/healthz"}
    assert metrics.registry.get_sample_value("mayfly_http_request_seconds_count", labels) == 1
    assert metrics.registry.get_sample_value("mayfly_http_requests_in_flight") == 0


def test_paths_and_methods_that_are_made_up_make_no_label(metrics: Metrics) -> None:
    assert call(metrics, "GET", "/made/up") == 404
    assert call(metrics, "BREW", "/made/up/too") == 404
    assert counted(metrics, "GET", "none", "4xx") == 1
    assert counted(metrics, "other", "none", "4xx") == 1
    assert b"made" not in metrics.exposition("")[0]


def test_what_the_guard_refuses_counts_too(metrics: Metrics) -> None:
    assert call(metrics, "GET", "/healthz", headers={"Host": "elsewhere.example"}) == 403
    assert counted(metrics, "GET", "none", "4xx") == 1
    assert metrics.registry.get_sample_value("mayfly_http_problems_total", {"problem": "denied"}) == 1


def test_what_nobody_foresaw_counts_as_our_fault(metrics: Metrics) -> None:
    assert call(metrics, "GET", "/readyz", _Broken()) == 500
    assert counted(metrics, "GET", "/readyz", "5xx") == 1
