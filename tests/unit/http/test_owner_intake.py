"""What the owner answers a consumer: every operation by itself, and nothing to whom it does not know."""

import json
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from mayfly import __version__
from mayfly.adapters.memory.dead_letters import MemoryDeadLetters
from mayfly.entrypoints.http.owner.app import create_owner_app
from mayfly.entrypoints.http.owner.intake import LARGEST_BYTES, MOST_OPERATIONS
from mayfly.intake.sessions import Sessions
from mayfly.model.consumption import ConsumerFigures
from mayfly.model.retention import History, Retention
from mayfly.model.terms import Terms
from mayfly.model.wire import figures_to_json
from support.asgi import ask
from support.house import START, House

TERMS = Terms("kafka", History(((START, Retention(60)),)), 1_000, 1_000, {"site": "fact"})


class Owner:
    def __init__(self) -> None:
        self.house = House()
        house = self.house
        letters = MemoryDeadLetters(house.metadata)
        self.sessions = Sessions(house.metadata, house.objects, house.keys, letters, house.clock, lambda: TERMS)
        stages: Any = SimpleNamespace(sessions=self.sessions, clock=house.clock)
        self.app: FastAPI = create_owner_app(stages)

    def post(self, path: str, told: Any) -> httpx.Response:
        return ask(self.app, "POST", path, json=told)

    def open(self) -> str:
        name: str = self.post("/sessions", {"version": __version__}).json()["session"]
        return name

    def operations(self, *asked: dict[str, Any]) -> list[dict[str, Any]]:
        response = self.post("/intake", {"session": self.open(), "operations": list(asked)})
        assert response.status_code == 200
        results: list[dict[str, Any]] = response.json()["results"]
        return results


@pytest.fixture
def owner() -> Owner:
    return Owner()


def test_a_session_begins_with_its_terms_and_the_time(owner: Owner) -> None:
    response = owner.post("/sessions", {"version": __version__})
    assert response.status_code == 201
    told = response.json()
    assert told["terms"]["history"] == [[START, 60]]
    assert (told["now"], told["held"]) == (START, False)


def test_a_consumer_of_another_version_is_told_so(owner: Owner) -> None:
    response = owner.post("/sessions", {"version": "0.0.0"})
    assert response.status_code == 409
    assert "same version" in response.json()["detail"]


def test_who_is_not_known_is_answered_nothing(owner: Owner) -> None:
    name = owner.open()
    assert ask(owner.app, "DELETE", f"/sessions/{name}").status_code == 204
    for unknown in (name, None, 7):
        response = owner.post("/intake", {"session": unknown, "operations": []})
        assert response.status_code == 409


def test_without_an_operation_it_tells_the_time(owner: Owner) -> None:
    owner.house.clock.move(5)
    owner.house.clock.hold()
    response = owner.post("/intake", {"session": owner.sessions.open().name, "operations": []})
    assert response.json() == {"now": START + 5, "held": True, "results": []}


def test_each_operation_is_answered_in_its_place_whatever_became_of_the_others(owner: Owner) -> None:
    results = owner.operations(
        {"op": "published", "key": "photos/0/1", "died_at": START},
        {"op": "key", "minute": 1},
        {"op": "nonsense"},
        {"op": "letter", "key": "photos/0/1"},
        {"op": "admit", "record": 7},
        {},
    )
    assert [next(iter(result)) for result in results] == ["ok", "fault", "fault", "ok", "fault", "fault"]
    assert results[1]["fault"] == "KeyDestroyed"
    assert {results[number]["fault"] for number in (2, 4, 5)} == {"Unavailable"}, "what nobody foresaw buries no record"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 100_000,
        b'{"session": "s", "operations": 7}',
        b'{"session": "s", "operations": [7]}',
        json.dumps({"session": "s", "operations": [{}] * (MOST_OPERATIONS + 1)}).encode(),
        b'"' + b"x" * LARGEST_BYTES + b'"',
    ],
    ids=["empty", "a list", "cut", "deep", "a number", "numbers", "too many", "too long"],
)
def test_what_does_not_read_as_operations_is_refused(owner: Owner, body: bytes) -> None:
    assert ask(owner.app, "POST", "/intake", content=body).status_code == 400


def test_a_consumers_figures_are_shown_as_long_as_its_session(owner: Owner) -> None:
    figures = ConsumerFigures("a-1", records={"created": 3})
    asked = {"op": "figures", "figures": figures_to_json(figures)}
    session = owner.open()
    other = owner.open()
    for name in (session, other):
        assert owner.post("/intake", {"session": name, "operations": [asked]}).json()["results"] == [{"ok": None}]
    # One consumer that opened another session is one still.
    assert owner.sessions.figures() == [figures]
    for name in (session, other):
        ask(owner.app, "DELETE", f"/sessions/{name}")
    assert owner.sessions.figures() == []
