"""Reprocessing, a piece at a time."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from mayfly.client.errors import UsageError
from mayfly.client.looking import written
from mayfly.client.server import Server
from mayfly.client.shapes import Reprocessed

IDS_AT_ONCE = 100
_PATH = "/v1/reprocess"


def reprocess(
    server: Server, ids: Iterable[str], *, dry_run: bool, **filters: datetime | str | None
) -> Iterator[Reprocessed]:
    """See `Client.reprocess`."""
    wanted = {name: written(value) for name, value in filters.items() if value is not None}
    remaining = iter(ids)
    named = list(islice(remaining, IDS_AT_ONCE))
    if wanted and named:
        raise UsageError("ids stand alone: leave the filters out")
    return _named(server, named, remaining, dry_run) if named else _found(server, wanted, dry_run)


def _named(server: Server, named: list[str], remaining: Iterator[str], dry_run: bool) -> Iterator[Reprocessed]:
    while named:
        yield server.ask_once_there_is_room(_PATH, Reprocessed.of, {"ids": named, "dry_run": dry_run})
        named = list(islice(remaining, IDS_AT_ONCE))


def _found(server: Server, wanted: Mapping[str, str], dry_run: bool) -> Iterator[Reprocessed]:
    body: dict[str, Any] = {**wanted, "dry_run": dry_run}
    while True:
        answer = server.ask_once_there_is_room(_PATH, Reprocessed.of, body)
        yield answer
        if answer.next_cursor is None:
            return
        body["cursor"] = answer.next_cursor
