"""`mayfly reprocess`: what the recipes in force would make otherwise is made anew, a piece at a time."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mayfly.cli import client

_IDS_AT_ONCE = 100
_BUSY = "/problems/busy"
_PAUSE_SECONDS = 1.0
_COUNTED = ("examined", "outdated", "reopened")


def reprocess(url: str, filters: dict[str, str | None], ids: list[str], *, dry_run: bool, as_json: bool) -> int:
    """Ask until there is no more to look at. While the server's queue is long, wait. The exit code."""
    wanted = {name: value for name, value in filters.items() if value is not None}
    if wanted and ids:
        raise client.UsageError("ids stand alone: leave the filters out")
    done = dict.fromkeys(_COUNTED, 0)
    with client._client(url) as connection, _progress() as progress:
        task = progress.add_task(_words(done, dry_run), total=None)
        for answer in _answers(connection, wanted, ids, dry_run):
            for name in _COUNTED:
                done[name] += answer[name]
            progress.update(task, description=_words(done, dry_run))
    if as_json:
        print(json.dumps(done, indent=2))
    else:
        client.out.print(_words(done, dry_run))
    return 0


def _answers(
    connection: httpx.Client, wanted: dict[str, str], ids: list[str], dry_run: bool
) -> Iterator[dict[str, Any]]:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield _ask(connection, {"ids": ids[start : start + _IDS_AT_ONCE], "dry_run": dry_run})
    cursor: dict[str, str] = {}
    while not ids:
        answer = _ask(connection, {**wanted, **cursor, "dry_run": dry_run})
        yield answer
        if answer["next_cursor"] is None:
            return
        cursor = {"cursor": answer["next_cursor"]}


def _ask(connection: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    while True:
        try:
            answer: dict[str, Any] = client._checked(connection.post("/v1/reprocess", json=body)).json()
        except client._ProblemError as problem:
            if problem.document.get("type") != _BUSY:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return answer


def _words(done: dict[str, int], dry_run: bool) -> str:
    last = "would be processed again" if dry_run else "are processed again"
    count = done["outdated" if dry_run else "reopened"]
    return f"{done['examined']} images examined, {done['outdated']} of them outdated or failed; {count} {last}"


def _progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=client.errors, transient=True, disable=not sys.stderr.isatty())
