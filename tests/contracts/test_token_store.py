"""The contract of `ports.token_store.TokenStore`, for every adapter."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mayfly.model.errors import AlreadyExists, NotFound
from mayfly.model.instant import MINUTE, Ms
from mayfly.model.principal import Role
from mayfly.model.token import Token, make_token
from mayfly.ports.token_store import TokenStore

if TYPE_CHECKING:
    from contracts.conftest import Race, Subject

NOW = Ms(29_833_334 * MINUTE)
HOUR = 60 * MINUTE


def a_token(*, at: Ms = NOW, life: int = HOUR, role: Role = Role.UPLOADER) -> Token:
    return make_token(role, life, at)[0]


@pytest.mark.parametrize("role", Role)
def test_what_was_added_is_there_as_it_was(kept_tokens: "Subject[TokenStore]", role: Role) -> None:
    token = a_token(role=role)
    kept_tokens.opened.add(token)
    assert kept_tokens.opened.all() == [token]
    assert kept_tokens.reopen().all() == [token]


def test_tokens_come_in_the_order_they_were_made(tokens: TokenStore) -> None:
    later, sooner, twin = a_token(at=Ms(NOW + 1)), a_token(), a_token()
    for token in (later, sooner, twin):
        tokens.add(token)
    assert tokens.all() == [*sorted((sooner, twin), key=lambda token: token.id), later]


def test_an_id_is_given_once_whatever_came_of_its_token(tokens: TokenStore) -> None:
    token = a_token()
    tokens.add(token)
    tokens.revoke(token.id, NOW)
    with pytest.raises(AlreadyExists):
        tokens.add(replace(token, name="another"))
    assert [kept.name for kept in tokens.all()] == [token.name]


def test_a_revocation_stands_and_its_first_time_with_it(kept_tokens: "Subject[TokenStore]") -> None:
    token = a_token()
    kept_tokens.opened.add(token)
    revoked = replace(token, revoked_at=Ms(NOW + 5))
    assert kept_tokens.opened.revoke(token.id, Ms(NOW + 5)) == revoked
    assert kept_tokens.opened.revoke(token.id, Ms(NOW + 9)) == revoked
    assert kept_tokens.reopen().all() == [revoked]


def test_only_what_is_there_is_revoked(tokens: TokenStore) -> None:
    token = a_token()
    tokens.add(token)
    with pytest.raises(NotFound):
        tokens.revoke("another", NOW)
    assert tokens.all() == [token]


def test_what_ended_before_an_instant_is_forgotten_and_nothing_else(kept_tokens: "Subject[TokenStore]") -> None:
    store = kept_tokens.opened
    expired, revoked, at_the_instant, living = a_token(life=5), a_token(), a_token(life=10), a_token()
    revoked_later = a_token(life=5)
    for token in (expired, revoked, at_the_instant, living, revoked_later):
        store.add(token)
    store.revoke(revoked.id, Ms(NOW + 1))
    store.revoke(revoked_later.id, Ms(NOW + 20))
    assert store.forget(Ms(NOW + 10)) == 3
    assert {token.id for token in kept_tokens.reopen().all()} == {at_the_instant.id, living.id}
    assert kept_tokens.opened.forget(Ms(NOW + 10)) == 0


def test_of_many_revocations_at_once_one_time_stands(tokens: TokenStore, race: "Race") -> None:
    token = a_token()
    tokens.add(token)
    answers = race(8, lambda number: tokens.revoke(token.id, Ms(NOW + number)))
    assert {answer for answer in answers if isinstance(answer, Token)} == set(tokens.all())
