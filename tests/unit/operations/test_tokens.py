"""Tokens: what makes one, what it is told by, when it ends."""

import re
from collections.abc import Iterator

import pytest

from mayfly.adapters.memory.clock import ManualClock
from mayfly.adapters.memory.token_store import MemoryTokenStore
from mayfly.model import token as model
from mayfly.model.errors import Conflict, InvalidRequest, NotFound, Unauthenticated
from mayfly.model.instant import MINUTE, Ms
from mayfly.model.principal import Role
from mayfly.operations import tokens as room
from mayfly.operations.tokens import Tokens, described
from support.house import START, Told

DAY = 24 * 60 * MINUTE


class Desk:
    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.store = MemoryTokenStore()
        self.told = Told()
        self.tokens = self.opened()

    def opened(self) -> Tokens:
        return Tokens(self.store, self.clock, self.told)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_token_says_what_it_is_and_holds_256_random_bits(desk: Desk) -> None:
    token, text = desk.tokens.create(Role.UPLOADER, DAY)
    assert re.fullmatch(rf"mfy_{token.id}_[A-Za-z0-9_-]{{43}}", text)
    assert text not in repr(token)
    assert token.digest.hex() not in repr(token)
    assert desk.tokens.holder(text) == token
    assert (token.name, token.role, token.expires_at) == (f"uploader-{token.id}", Role.UPLOADER, START + DAY)


def other_secrets(text: str) -> Iterator[str]:
    yield text[:-1] + ("a" if text[-1] != "a" else "b")
    yield text[:-1]
    yield text + "a"
    yield text.upper()
    yield " " + text
    yield text.replace("mfy_", "mfx_")
    yield text.split("_", 2)[1]
    yield "mfy_" + "a" * 10 + text[14:]
    yield ""
    yield "mfy__"
    yield "\x00" * 64
    yield text + "\n"


def test_nothing_but_the_whole_text_is_a_token(desk: Desk) -> None:
    _, text = desk.tokens.create(Role.ADMIN, DAY)
    answers = set()
    for other in other_secrets(text):
        with pytest.raises(Unauthenticated) as refusal:
            desk.tokens.holder(other)
        answers.add(str(refusal.value))
    assert len(answers) == 1, "an answer that differs tells what was nearly right"


def test_what_is_no_token_is_never_hashed_whatever_its_length(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def hashed(_: str) -> bytes:
        raise AssertionError("hashed")

    monkeypatch.setattr(room, "digest_of", hashed)
    with pytest.raises(Unauthenticated):
        desk.tokens.holder("mfy_" + "x" * 1_000_000)


def test_a_token_lives_until_its_instant(desk: Desk) -> None:
    _, text = desk.tokens.create(Role.ANALYST, DAY)
    desk.clock.set(Ms(START + DAY - 1))
    desk.tokens.holder(text)
    assert desk.tokens.any_live()
    desk.clock.set(Ms(START + DAY))
    with pytest.raises(Unauthenticated):
        desk.tokens.holder(text)
    assert not desk.tokens.any_live()


def test_a_revoked_token_is_refused_at_once_and_after_a_restart(desk: Desk) -> None:
    token, text = desk.tokens.create(Role.ANALYST, DAY)
    desk.tokens.revoke(token.id)
    for tokens in (desk.tokens, desk.opened()):
        with pytest.raises(Unauthenticated):
            tokens.holder(text)
        with pytest.raises(Unauthenticated):
            tokens.by_id(token.id)
        assert not tokens.any_live()
    with pytest.raises(NotFound):
        desk.tokens.revoke("another")


def test_tokens_outlive_a_restart(desk: Desk) -> None:
    token, text = desk.tokens.create(Role.ANALYST, DAY)
    assert desk.opened().holder(text) == token


@pytest.mark.parametrize("name", ["", "local", "-x", "a b", "a" * 65, "naïve", "a\n", "../x"])
def test_a_name_is_plain_and_never_that_of_this_machine(desk: Desk, name: str) -> None:
    with pytest.raises(InvalidRequest):
        desk.tokens.create(Role.UPLOADER, DAY, name)
    assert desk.store.all() == []


@pytest.mark.parametrize("life", [0, -1, model.LONGEST_LIFE + 1])
def test_a_life_has_its_bounds(desk: Desk, life: int) -> None:
    with pytest.raises(InvalidRequest):
        desk.tokens.create(Role.UPLOADER, life)


def test_what_ended_is_listed_for_thirty_days_and_then_makes_room(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_TOKENS", 2)
    short, _ = desk.tokens.create(Role.UPLOADER, DAY)
    long, _ = desk.tokens.create(Role.UPLOADER, 100 * DAY)
    with pytest.raises(Conflict):
        desk.tokens.create(Role.UPLOADER, DAY)
    desk.clock.set(Ms(START + 31 * DAY))
    assert [token.id for token in desk.tokens.all()] == [short.id, long.id]
    desk.clock.set(Ms(START + 31 * DAY + 1))
    assert [token.id for token in desk.tokens.all()] == [long.id]
    new, _ = desk.tokens.create(Role.UPLOADER, DAY)
    assert [token.id for token in desk.store.all()] == [long.id, new.id]


def test_what_is_told_of_a_token_cannot_be_used(desk: Desk) -> None:
    token, text = desk.tokens.create(Role.OPERATOR, DAY, "ci")
    told = described(token, desk.tokens.now())
    assert (told["name"], told["role"], told["state"]) == ("ci", "operator", "live")
    assert described(token, token.expires_at)["state"] == "expired"
    assert described(desk.tokens.revoke(token.id), desk.tokens.now())["state"] == "revoked"
    secret = text.split("_", 2)[2]
    for entry in (told, *desk.told.entries):
        assert secret not in str(entry)
        assert token.digest.hex() not in str(entry)
    assert desk.told.events == ["token_created", "token_revoked"]


def test_by_a_time_that_nobody_believes_no_token_is_forgotten(desk: Desk) -> None:
    token, text = desk.tokens.create(Role.UPLOADER, DAY)
    desk.clock.move(365 * DAY)
    desk.clock.hold()
    desk.tokens.create(Role.OPERATOR, DAY)
    assert token in desk.store.all()
    desk.clock.set(START)
    assert desk.opened().holder(text) == token
