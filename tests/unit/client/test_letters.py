"""Dead letters through the client: lists and redrives go on by themselves, as long as anyone asks."""

from datetime import UTC, datetime
from itertools import islice
from typing import Any

import httpx

from unit.client.conftest import IDENTITY, Scripted


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
