"""Signing in: what the cookie is, what it opens, and where it counts for nothing."""

from collections.abc import Mapping
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from fastapi import FastAPI

from mayfly.adapters.memory.clock import ManualClock
from mayfly.adapters.memory.token_store import MemoryTokenStore
from mayfly.entrypoints.http.app import create_app
from mayfly.entrypoints.http.origin import LOOPBACK, Reach
from mayfly.entrypoints.http.session import LONGEST_SESSION
from mayfly.entrypoints.http.stages import Stages
from mayfly.model.instant import MINUTE, Ms, rfc3339
from mayfly.model.principal import Role
from mayfly.operations.tokens import Tokens
from support.asgi import ask
from support.door import assert_problem
from support.house import START, Told

PROXIED = Reach(behind_proxy=True)
DAY = 24 * 60 * MINUTE
OVER_TLS = {"X-Forwarded-Proto": "https"}
OURS = {"Origin": "http://localhost"}


class Door:
    """An application that asks for tokens, one that is the analyst's, and a clock."""

    def __init__(self, reach: Reach = PROXIED) -> None:
        self.clock = ManualClock(START)
        self.tokens = Tokens(MemoryTokenStore(), self.clock, Told())
        self.token, self.text = self.tokens.create(Role.ANALYST, 3 * DAY, "ann")
        self.app = self.another(reach)

    def another(self, reach: Reach = PROXIED) -> FastAPI:
        return create_app(cast("Stages", SimpleNamespace(clock=self.clock, tokens=self.tokens)), reach)

    def sign_in(self, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return ask(self.app, "POST", "/v1/session", json={"token": self.text}, headers=headers)

    def cookie(self) -> str:
        return self.sign_in().headers["set-cookie"].partition(";")[0]

    def me(
        self, cookie: str, *, app: FastAPI | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        shown = [(b"Cookie", cookie.encode("latin-1"))]
        shown += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        return ask(app or self.app, "GET", "/v1/me", headers=shown)


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_token_opens_a_session_whose_cookie_does_not_hold_it(door: Door) -> None:
    answer = door.sign_in()
    ends = rfc3339(Ms(START + LONGEST_SESSION))
    assert answer.json() == {"name": "ann", "role": "analyst", "expires_at": ends}
    assert door.text.split("_", 2)[2] not in answer.headers["set-cookie"]
    assert door.me(door.cookie()).json() == {"name": "ann", "role": "analyst", "signed_in": True}


def test_the_cookie_is_out_of_reach_of_scripts_other_sites_and_plain_http(door: Door) -> None:
    plain = SimpleCookie(door.sign_in().headers["set-cookie"])["mayfly"]
    assert (plain["httponly"], plain["samesite"], plain["path"], plain["secure"]) == (True, "strict", "/", "")
    over_tls = door.sign_in(OVER_TLS).headers["set-cookie"]
    secure = SimpleCookie(over_tls)["__Host-mayfly"]
    assert (secure["httponly"], secure["samesite"], secure["path"], secure["secure"]) == (True, "strict", "/", True)
    assert secure["domain"] == ""
    # Nor is the one taken for the other: plain HTTP could have planted it.
    planted = over_tls.partition(";")[0].replace("__Host-", "")
    assert door.me(planted, headers=OVER_TLS).status_code == 401


def test_what_is_no_live_token_opens_none(door: Door) -> None:
    door.tokens.revoke(door.token.id)
    answer = door.sign_in()
    assert_problem(answer, 401, "unauthenticated")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("body", [{}, {"token": 5}, {"token": "a", "more": 1}, [], "token"])
def test_other_bodies_are_refused(door: Door, body: object) -> None:
    assert_problem(ask(door.app, "POST", "/v1/session", json=body), 400, "invalid-request")


def test_a_body_without_end_is_not_read_to_it(door: Door) -> None:
    answer = ask(door.app, "POST", "/v1/session", json={"token": "x" * 100_000})
    assert_problem(answer, 400, "invalid-request", "16384")


def test_a_session_ends_with_its_token(door: Door) -> None:
    cookie = door.cookie()
    assert door.me(cookie).status_code == 200
    door.tokens.revoke(door.token.id)
    assert_problem(door.me(cookie), 401, "unauthenticated")


def test_a_session_ends_by_itself(door: Door) -> None:
    cookie = door.cookie()
    door.clock.set(Ms(START + LONGEST_SESSION - 1))
    assert door.me(cookie).status_code == 200
    door.clock.set(Ms(START + LONGEST_SESSION))
    assert_problem(door.me(cookie), 401, "unauthenticated", "sign in again")


def test_a_session_cannot_be_made_changed_or_taken_to_another_server(door: Door) -> None:
    cookie = door.cookie()
    name, _, value = cookie.partition("=")
    token_id, ends, mac = value.split(".")
    for other in (
        f"{token_id}.{int(ends) + 1}.{mac}",
        f"{'b' if token_id[0] == 'a' else 'a'}{token_id[1:]}.{ends}.{mac}",
        f"{token_id}.{ends}.{'0' * 64}",
        f"{token_id}.{ends}.",
        f"{token_id}.{ends}",
        f"{token_id}{ends}.{mac}",
        "é.1.é",
        door.text,
        "",
    ):
        answer = door.me(f"{name}={other}")
        assert answer.status_code == 401, other
    assert door.me(cookie, app=door.another()).status_code == 401


def test_on_an_open_server_cookies_count_for_nothing() -> None:
    """Those of another server on another port of this machine come along."""
    door = Door(LOOPBACK)
    assert door.me("mayfly=another.server.s").json() == {"name": "local", "role": "admin", "signed_in": False}


def test_a_session_changes_things_for_our_own_page_alone() -> None:
    door = Door()
    _, text = door.tokens.create(Role.OPERATOR, DAY)
    signed_in = ask(door.app, "POST", "/v1/session", json={"token": text}).headers["set-cookie"].partition(";")[0]
    refused: list[dict[str, str]] = [{}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "same-site"}]
    for headers in refused:
        answer = ask(door.app, "POST", "/v1/sweeps", json={}, headers={"Cookie": signed_in, **headers})
        assert_problem(answer, 403, "denied")
    # It comes through to the route, which has no sweep here.
    for headers in (OURS, {"Sec-Fetch-Site": "same-origin"}):
        assert ask(door.app, "POST", "/v1/sweeps", json={}, headers={"Cookie": signed_in, **headers}).status_code == 500


def test_a_token_shown_counts_more_than_a_cookie(door: Door) -> None:
    cookie = door.cookie()
    assert_problem(door.me(cookie, headers={"Authorization": "Bearer mfy_x"}), 401, "unauthenticated")


def test_two_tokens_are_none(door: Door) -> None:
    shown = [("Authorization", f"Bearer {door.text}"), ("Authorization", f"Bearer {door.text}")]
    assert ask(door.app, "GET", "/v1/me", headers=shown).status_code == 401


def test_signing_out_takes_the_cookie_back(door: Door) -> None:
    answer = ask(door.app, "DELETE", "/v1/session", headers={"Cookie": door.cookie()})
    assert answer.status_code == 204
    cookie = SimpleCookie(answer.headers["set-cookie"])["mayfly"]
    assert (cookie.value, cookie["max-age"]) == ("", "0")
