"""`mayfly reprocess`: what the recipes in force would make otherwise is made anew, a piece at a time."""

import json
from collections.abc import Mapping, Sequence

from mayfly.cli.client import out
from mayfly.cli.progress import counting
from mayfly.client import Client

_COUNTED = ("examined", "outdated", "reopened")


def reprocess(
    client: Client, filters: Mapping[str, str | None], ids: Sequence[str], *, dry_run: bool, as_json: bool
) -> int:
    """Ask until there is no more to look at. While the server's queue is long, wait. The exit code."""
    done = dict.fromkeys(_COUNTED, 0)
    answers = client.reprocess(ids, dry_run=dry_run, **filters)
    with counting() as tell:
        for answer in answers:
            for name in _COUNTED:
                done[name] += getattr(answer, name)
            tell(_words(done, dry_run))
    if as_json:
        print(json.dumps(done, indent=2))
    else:
        out.print(_words(done, dry_run))
    return 0


def _words(done: Mapping[str, int], dry_run: bool) -> str:
    last = "would be processed again" if dry_run else "are processed again"
    count = done["outdated" if dry_run else "reopened"]
    return f"{done['examined']} images examined, {done['outdated']} of them outdated or failed; {count} {last}"
