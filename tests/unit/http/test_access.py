"""The table of roles and the application's routes hold each other; one function names principals."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

import mayfly
from mayfly.adapters.memory.clock import ManualClock
from mayfly.adapters.memory.token_store import MemoryTokenStore
from mayfly.entrypoints.http import access
from mayfly.entrypoints.http.access import ALLOWED, OPEN_TO_ALL, refuse_strangers
from mayfly.entrypoints.http.app import ROUTERS, create_app
from mayfly.entrypoints.http.origin import LOOPBACK, Reach
from mayfly.entrypoints.http.stages import Stages
from mayfly.model.errors import Denied, NotFound
from mayfly.model.instant import MINUTE
from mayfly.model.principal import Role
from mayfly.operations.tokens import Tokens
from support.asgi import ask
from support.house import START, Told

REACHED = "the route's own code was reached"
IDENTITY = "019dd5ec-4b1f-89d8-8123-456789abcdef"


def routes() -> Iterator[tuple[str, str]]:
    """Every method and path of the application, HEAD apart: it goes with GET."""
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in route.methods or ():
                if method != "HEAD":
                    yield method, route.path
    yield "GET", "/openapi.json"


def test_every_route_stands_in_the_table_or_is_open_and_nothing_else_does() -> None:
    guarded = {(method, path) for method, path in routes() if path not in OPEN_TO_ALL}
    assert guarded == set(ALLOWED)
    assert {path for _, path in routes()} - {path for _, path in ALLOWED} == OPEN_TO_ALL


def test_the_application_has_the_routes_of_its_routers_and_no_more() -> None:
    documented = {(method.upper(), path) for path, item in untouched().openapi()["paths"].items() for method in item}
    assert documented <= set(routes())
    assert set(ALLOWED) <= documented


def test_every_get_takes_head_too() -> None:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            if route.include_in_schema and route.methods == {"GET"}:
                twins = [twin for twin in router.routes if isinstance(twin, APIRoute) and twin.methods == {"HEAD"}]
                assert route.path in {twin.path for twin in twins}


def test_no_role_may_do_more_than_it_is_for() -> None:
    def may(role: Role) -> set[tuple[str, str]]:
        return {route for route, roles in ALLOWED.items() if role in roles}

    picture_routes = {route for route in ALLOWED if "original" in route[1] or "renditions" in route[1]}
    assert may(Role.ADMIN) == set(ALLOWED)
    assert not may(Role.ANALYST) & picture_routes, "an analyst sees facts, never pixels"
    assert may(Role.SCIENTIST) & picture_routes == {("GET", "/v1/images/{image_id}/renditions/{name}")}
    for role in (Role.ANALYST, Role.SCIENTIST, Role.AUDITOR):
        assert {method for method, _ in may(role)} == {"GET"}


class _Untouched:
    """Stages that tell when a route's own code asks for one. Tokens alone there are, one a role."""

    def __init__(self) -> None:
        self.tokens = Tokens(MemoryTokenStore(), ManualClock(START), Told())
        self.texts = {role: self.tokens.create(role, MINUTE, "somebody")[1] for role in Role}

    def __getattr__(self, name: str) -> object:
        raise NotFound(REACHED)


STAGES = _Untouched()


def untouched(reach: Reach = LOOPBACK) -> FastAPI:
    return create_app(cast("Stages", STAGES), reach)


def call(method: str, path: str, **headers: str) -> httpx.Response:
    """As a caller would who sends what the route takes, to a server that asks for tokens."""
    taken = {"/v1/images": None, "/v1/uploads": {"media_type": "image/jpeg"}}
    json = taken.get(path, {}) if method == "POST" else None
    app = untouched(Reach(behind_proxy=True))
    return ask(app, method, path.format(image_id=IDENTITY, name="thumb"), json=json, headers=headers)


CALLS = [(method, path, role) for method, path in ALLOWED for role in Role]
CALLS += [("HEAD", path, role) for method, path in ALLOWED if method == "GET" for role in Role]
ANSWERS_ITSELF = {"/v1/me"}
"""Routes that need no stage."""


@pytest.mark.parametrize(("method", "path", "role"), CALLS)
def test_a_route_is_open_to_the_roles_of_the_table_alone(method: str, path: str, role: Role) -> None:
    response = call(method, path, Authorization=f"Bearer {STAGES.texts[role]}")
    allowed = role in ALLOWED["GET" if method == "HEAD" else method, path]
    reached = 200 if path in ANSWERS_ITSELF else 404
    assert response.status_code == (reached if allowed else 403)
    if method != "HEAD" and path not in ANSWERS_ITSELF:
        detail = response.json()["detail"]
        assert detail == REACHED if allowed else str(role) in detail


@pytest.mark.parametrize(("method", "path"), ALLOWED)
def test_no_route_of_the_table_is_open_without_a_token(method: str, path: str) -> None:
    response = call(method, path)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


def test_a_route_that_is_not_in_the_table_is_refused_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "ALLOWED", {})
    for method, path in ALLOWED:
        assert call(method, path, Authorization=f"Bearer {STAGES.texts[Role.ADMIN]}").status_code == 403


def test_principals_are_made_in_one_function_alone() -> None:
    """So that nobody comes in by another door."""
    root = Path(mayfly.__file__).parent
    made = []
    for path in sorted(root.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.Call) and getattr(function.func, "id", None) == "Principal":
                made.append(path.relative_to(root).as_posix())
    assert made == ["entrypoints/http/access.py"]
    assert access.principal_of.__module__ == access.__name__


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("host", "localhost"), ("host", "localhost")],
        [("host", "evil.example")],
        [("host", "localhost:0")],
        [("host", "localhost:99999")],
        [("host", "localhost"), ("origin", "")],
        [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil.example")],
        [("host", "localhost"), ("origin", "http://[::1")],
        [("host", "localhost"), ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
    ],
)
def test_what_comes_from_elsewhere_or_cannot_be_told_is_refused(headers: list[tuple[str, str]]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    with pytest.raises(Denied):
        refuse_strangers(Headers(raw=raw), Reach())
