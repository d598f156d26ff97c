"""Dead letters on the command line: tables for people, JSON for machines."""

import json
from dataclasses import dataclass
from itertools import islice
from typing import TypedDict

from mayfly.cli.client import aligned, errors
from mayfly.client import Client

NONE_THERE = "no dead letter matches"


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
