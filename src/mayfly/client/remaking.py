"""Reprocessing, a piece at a time."""

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from mayfly.client.errors import UnavailableError, UsageError
from mayfly.client.looking import written
from mayfly.client.server import Server
from mayfly.client.shapes import Reprocessed

IDS_AT_ONCE = 100
_PAUSE_SECONDS = 1.0


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
        yield _once_there_is_room(server, {"ids": named, "dry_run": dry_run})
        named = list(islice(remaining, IDS_AT_ONCE))


def _found(server: Server, wanted: Mapping[str, str], dry_run: bool) -> Iterator[Reprocessed]:
    body: dict[str, Any] = {**wanted, "dry_run": dry_run}
    while True:
        answer = _once_there_is_room(server, body)
        yield answer
        if answer.next_cursor is None:
            return
        body["cursor"] = answer.next_cursor


def _once_there_is_room(server: Server, body: Mapping[str, Any]) -> Reprocessed:
    while True:
        try:
            return server.ask("POST", "/v1/reprocess", Reprocessed.of, json=body)
        except UnavailableError as fault:
            # Its queue is long; it gets shorter for as long as the server works, however long that takes.
            if fault.slug != "busy":
                raise
            time.sleep(_PAUSE_SECONDS)
