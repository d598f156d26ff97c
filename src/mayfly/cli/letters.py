"""Dead letters on the command line: tables for people, JSON for machines."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypedDict

from mayfly.cli.client import FAILED, aligned, errors, out
from mayfly.cli.progress import counting
from mayfly.client import Client, Redriven, UsageError

NONE_THERE = "no dead letter matches"

_SAID = {
    "redriven": "redriven",
    "still-refused": "refused still",
    "nothing-kept": "with nothing kept",
    "too-often": "came back too often (--force)",
    "gone": "gone meanwhile",
    "under-way": "under way",
}
_LEFT = frozenset({"still-refused", "nothing-kept", "too-often"})
"""What stays dead: it makes the exit code 1."""


class Filters(TypedDict):
    reason: str | None
    topic: str | None
    partition: int | None
    died_from: str | None
    died_to: str | None


@dataclass(frozen=True, slots=True)
class Which:
    """The letters that are asked for. `limit`: so many at most."""

    reason: str | None = None
    topic: str | None = None
    partition: int | None = None
    since: str | None = None
    until: str | None = None
    limit: int | None = None

    @property
    def filters(self) -> Filters:
        return {
            "reason": self.reason,
            "topic": self.topic,
            "partition": self.partition,
            "died_from": self.since,
            "died_to": self.until,
        }


def ls(client: Client, which: Which, *, as_json: bool) -> int:
    """List open letters by key."""
    found = list(islice(client.deadletters(**which.filters), which.limit))
    if as_json:
        print(json.dumps({"items": [letter.raw for letter in found]}, indent=2))
        return 0
    if not found:
        errors.print(NONE_THERE)
    rows = [
        (
            letter.key,
            letter.reason,
            letter.raw["died_at"],
            letter.raw["expires_at"],
            str(letter.redrives),
            letter.image_id or "nothing kept",
        )
        for letter in found
    ]
    aligned(("letter", "reason", "died", "expires", "redrives", "image"), rows)
    return 0


def redrive(client: Client, which: Which, *, everything: bool, dry_run: bool, force: bool, as_json: bool) -> int:
    """Redrive what is asked for. Exit code 1 where something stays dead.

    Raises:
        UsageError: no filter, and not everything either; or both.
    """
    filtered = any(value is not None for value in which.filters.values())
    if filtered == everything:
        raise UsageError(
            "a filter, or --all: one of the two"
            if filtered
            else "which letters? Give a filter (--reason, --topic, --partition, --since, --until), or --all"
        )
    done: list[Redriven] = []
    with counting() as tell:
        for one in client.redrive(**which.filters, dry_run=dry_run, force=force, limit=which.limit):
            done.append(one)
            tell(f"{len(done)} letters")
    counts = Counter(one.result for one in done)
    if as_json:
        print(json.dumps({"results": [one.raw for one in done], "counts": counts}, indent=2))
    else:
        _show(done, counts, dry_run=dry_run)
    return FAILED if _LEFT & counts.keys() else 0


def _show(done: Sequence[Redriven], counts: Counter[str], *, dry_run: bool) -> None:
    if not done:
        errors.print(NONE_THERE)
        return
    rows = [(one.key, one.result, one.reason or "-", one.image_id or "nothing kept") for one in done]
    aligned(("letter", "result", "reason", "image"), rows)
    parts = [f"{count} {_SAID.get(result, result)}" for result, count in counts.most_common()]
    would = "; a dry run, nothing was done" if dry_run else ""
    counted = "1 letter" if len(done) == 1 else f"{len(done)} letters"
    out.print(f"{counted}: {', '.join(parts)}{would}", markup=False, highlight=False)
