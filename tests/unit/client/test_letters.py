"""Dead letters through the client: lists and redrives go on by themselves, as long as anyone asks."""

import json
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import httpx
import pytest

from mayfly.client import UsageError, letters, server
from unit.client.conftest import IDENTITY, Scripted, problem


def letter(offset: int, **changes: Any) -> dict[str, Any]:
    """A letter as the server answers it."""
    return {
        "key": f"images/0/{offset}",
        "source": "kafka",
        "topic": "images",
        "partition": 0,
        "offset": offset,
        "image_id": IDENTITY,
        "reason": "corrupt",
        "redrives": 0,
        "died_at": "2026-11-23T03:25:50.942Z",
        "expires_at": "2026-11-23T04:26:00Z",
        "kept": True,
        **changes,
    }


def page(*items: dict[str, Any], cursor: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"items": items, "next_cursor": cursor})


def redriven(*offsets: int, result: str = "redriven", cursor: str | None = None) -> httpx.Response:
    results = [
        {"key": f"images/0/{offset}", "image_id": IDENTITY, "result": result, "reason": None} for offset in offsets
    ]
    return httpx.Response(200, json={"results": results, "counts": {}, "next_cursor": cursor})


def bodies(scripted: Scripted) -> list[dict[str, Any]]:
    return [json.loads(request.content) for request in scripted.requests]


def test_letters_are_asked_for_page_by_page_and_only_as_they_are_wanted() -> None:
    scripted = Scripted(page(letter(1), letter(2), cursor="next"), page(letter(3, image_id=None, kept=False)))
    found = scripted.client().deadletters(reason="corrupt", partition=0, died_from=datetime(2026, 11, 23, tzinfo=UTC))
    assert scripted.requests == []
    assert [one.offset for one in islice(found, 2)] == [1, 2]
    assert len(scripted.requests) == 1
    (last,) = found
    assert (last.image_id, last.kept, last.topic, last.died_at.tzinfo) == (None, False, "images", UTC)
    asked = [dict(request.url.params) for request in scripted.requests]
    first = {"reason": "corrupt", "partition": "0", "died_from": "2026-11-23T00:00:00+00:00", "limit": "200"}
    assert asked == [first, {**first, "cursor": "next"}]


def test_a_redrive_goes_on_to_the_end_with_the_same_wish() -> None:
    scripted = Scripted(redriven(1, 2, cursor="next"), redriven(3, result="gone"))
    done = scripted.client().redrive(topic="images", partition=0, dry_run=True, died_to="2026-11-23T00:00:00Z")
    assert scripted.requests == []
    assert [(one.key, one.result) for one in done] == [
        ("images/0/1", "redriven"),
        ("images/0/2", "redriven"),
        ("images/0/3", "gone"),
    ]
    wish = {"topic": "images", "partition": 0, "died_to": "2026-11-23T00:00:00Z", "dry_run": True, "force": False}
    wish["limit"] = letters.LETTERS_AT_ONCE
    assert bodies(scripted) == [wish, {**wish, "cursor": "next"}]


def test_a_limit_counts_letters_over_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "LETTERS_AT_ONCE", 2)
    scripted = Scripted(redriven(1, 2, cursor="a"), redriven(3, cursor="b"))
    assert len(list(scripted.client().redrive(force=True, limit=3))) == 3
    assert [(body["limit"], body["force"]) for body in bodies(scripted)] == [(2, True), (1, True)]
    with pytest.raises(UsageError, match="limit is 1 or more"):
        scripted.client().redrive(limit=0)


def test_while_the_servers_queue_is_long_a_redrive_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_PAUSE_SECONDS", 0.0)
    scripted = Scripted(problem(503, "busy"), problem(503, "busy"), redriven(1))
    assert [one.key for one in scripted.client(retries=0).redrive()] == ["images/0/1"]


def test_a_time_without_an_offset_is_refused_before_anything_is_asked() -> None:
    scripted = Scripted()
    with pytest.raises(UsageError, match="without an offset"):
        scripted.client().redrive(died_from=datetime(2026, 11, 23))  # noqa: DTZ001 - the fault itself
    assert scripted.requests == []
