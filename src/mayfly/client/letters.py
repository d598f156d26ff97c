"""Dead letters: looking at them page by page, and redriving them a piece at a time."""

from collections.abc import Iterator, Mapping
from typing import Any

from mayfly.client.errors import UsageError
from mayfly.client.looking import Time, written
from mayfly.client.server import Server
from mayfly.client.shapes import DeadLetter, Document, Redriven

_PATH = "/v1/deadletters"
LETTERS_AT_ONCE = 100
"""Redriven in one call: each is a durable write, so an answer comes before any timeout."""

Filters = Mapping[str, Time | int | None]


def letters(server: Server, filters: Filters, page_size: int) -> Iterator[DeadLetter]:
    """See `Client.deadletters`."""
    parameters = {name: written(value) for name, value in {**filters, "limit": page_size}.items() if value is not None}
    while True:
        page = server.ask("GET", _PATH, _as_it_came, params=parameters)
        yield from map(DeadLetter.of, page["items"])
        if page["next_cursor"] is None:
            return
        parameters["cursor"] = page["next_cursor"]


def redrive(server: Server, filters: Filters, limit: int | None, *, dry_run: bool, force: bool) -> Iterator[Redriven]:
    """See `Client.redrive`."""
    if limit is not None and limit < 1:
        raise UsageError(f"limit is 1 or more; got {limit}")
    body: dict[str, Any] = {name: _in_json(value) for name, value in filters.items() if value is not None}
    body |= {"dry_run": dry_run, "force": force}
    return _redriven(server, body, limit)


def _redriven(server: Server, body: dict[str, Any], left: int | None) -> Iterator[Redriven]:
    while True:
        body["limit"] = LETTERS_AT_ONCE if left is None else min(LETTERS_AT_ONCE, left)
        answer = server.ask_once_there_is_room(f"{_PATH}/redrive", _as_it_came, body)
        results = [Redriven.of(result) for result in answer["results"]]
        yield from results
        left = None if left is None else left - len(results)
        if answer["next_cursor"] is None or left == 0:
            return
        body["cursor"] = answer["next_cursor"]


def _in_json(value: Time | int) -> str | int:
    return value if isinstance(value, int) else written(value)


def _as_it_came(document: Document) -> Document:
    return document
