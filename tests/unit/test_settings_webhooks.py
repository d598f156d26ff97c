"""Webhooks in the settings: every fault at once with its place, a secret never."""

import json
from pathlib import Path

import pytest

from mayfly.model.errors import Misconfigured
from mayfly.model.event import SENT
from mayfly.model.lifecycle import State
from mayfly.settings import Settings
from mayfly.settings.webhooks import MOST_WEBHOOKS, Webhook, parse_webhooks, read_secrets
from support.receiver import KEY, SECRET

GOOD = {"url": "https://example.org/hook?x=1", "secret": "env:OPS_SECRET"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def faults(**fields: object) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        parse_webhooks({"ops": {**GOOD, **fields}})
    return list(caught.value.faults)


def test_a_webhook_needs_a_url_and_a_secret_and_gets_every_event() -> None:
    assert parse_webhooks({"ops": GOOD}) == (Webhook("ops", GOOD["url"], GOOD["secret"], False, SENT),)


def test_states_are_chosen_from_those_that_are_sent() -> None:
    (webhook,) = parse_webhooks({"ops": {**GOOD, "states": ["purged", "failed"]}})
    assert webhook.states == (State.FAILED, State.PURGED)


def test_every_fault_is_told_at_once_with_its_line(folder: Path) -> None:
    (folder / "mayfly.toml").write_text(
        '[webhooks.ops]\nurl = "http://example.org"\nsecret = "whsec_AAAA"\nstates = ["received"]\nretry = 3\n'
        '[webhooks.Two]\nurl = "https://example.org"\nsecret = "file:relative"\nallow_private = 1\n'
    )
    with pytest.raises(Misconfigured) as caught:
        Settings.load(None, {}, {})
    told = caught.value.faults
    assert [fault.partition(": ")[0] + ": " + fault.split(": ")[1] for fault in told] == [
        "mayfly.toml:5: webhooks.ops.retry",
        "mayfly.toml:2: webhooks.ops.url",
        "mayfly.toml:3: webhooks.ops.secret",
        "mayfly.toml:4: webhooks.ops.states",
        "mayfly.toml:6: webhooks.Two",
        "mayfly.toml:9: webhooks.Two.allow_private",
        "mayfly.toml:8: webhooks.Two.secret",
    ]
    assert "whsec_AAAA" not in "".join(told)


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.org", "ftp://example.org", "http://example.org", "https://", "https://user:pass@example.org"),
        *("https://example.org/#x", "https://example.org:0", "https://example.org:x", "https://exämple.org"),
        *("https://example.org/a b", "https://example.org/\n", "https://[::1", "https://127.0.0.1", "https://[::1]/"),
        *("https://169.254.169.254/", "https://[::ffff:10.0.0.1]/", "https://example.org/" + "x" * 2_048, 5),
    ],
)
def test_an_address_that_must_not_be_posted_to_is_refused(url: object) -> None:
    (fault,) = faults(url=url)
    assert fault.startswith("webhooks.ops.url: must")


def test_one_s_own_network_is_for_those_who_say_so() -> None:
    for url in ("http://10.0.0.1:8000/x", "https://127.0.0.1/", "http://receiver.internal/"):
        assert parse_webhooks({"ops": {**GOOD, "url": url, "allow_private": True}})
    assert "https" in faults(url="http://8.8.8.8/", allow_private=True)[0]


@pytest.mark.parametrize(
    "secret",
    [
        "",
        SECRET,
        "env:",
        f"env:{SECRET}",
        "env:A B",
        "env:whsec_abc",
        "file:",
        "file:x",
        "http://x",
        "env",
        3,
        "vault:~/x",
    ],
)
def test_a_secret_is_named_and_not_written(secret: object) -> None:
    (fault,) = faults(secret=secret)
    assert fault == "webhooks.ops.secret: must say where the secret is, env:NAME or file:/PATH, and not be it"


def test_there_is_an_end_to_webhooks() -> None:
    with pytest.raises(Misconfigured, match="at most 8"):
        parse_webhooks({f"w{number}": GOOD for number in range(MOST_WEBHOOKS + 1)})


def test_secrets_are_read_where_they_are_named_to_be(folder: Path) -> None:
    (folder / "secret").write_text(SECRET + "\n")
    webhooks = parse_webhooks({"a": GOOD, "b": {**GOOD, "secret": f"file:{folder}/secret"}})
    assert read_secrets(webhooks, {"OPS_SECRET": SECRET}) == {"a": KEY, "b": KEY}


def test_every_secret_that_cannot_be_had_is_told_at_once_and_none_is_shown(folder: Path) -> None:
    (folder / "bad").write_text("hunter2")
    webhooks = parse_webhooks(
        {
            "a": GOOD,
            "b": {**GOOD, "secret": f"file:{folder}/bad"},
            "c": {**GOOD, "secret": f"file:{folder}/missing"},
        }
    )
    with pytest.raises(Misconfigured) as caught:
        read_secrets(webhooks, {})
    assert [fault.split(": ")[0] for fault in caught.value.faults] == [
        "webhooks.a.secret",
        "webhooks.b.secret",
        "webhooks.c.secret",
    ]
    assert "hunter2" not in str(caught.value)


def test_the_environment_may_hold_the_table_and_what_is_shown_has_no_secret() -> None:
    settings = Settings.load(None, {}, {"MAYFLY_WEBHOOKS": json.dumps({"ops": GOOD})})
    assert settings.model_dump(mode="json")["webhooks"] == {
        "ops": {**GOOD, "allow_private": False, "states": [state.value for state in SENT]}
    }
