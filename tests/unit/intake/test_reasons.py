"""The page on dead letters explains every reason that the stream's door gives, and both doors say the same."""

import re
from pathlib import Path

from mayfly.entrypoints.http.errors import TABLE
from mayfly.intake.reasons import FROM_THE_FUTURE, NO_TIMESTAMP, SLUGS

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "dead-letters.md"


def test_every_reason_has_its_place_in_the_table() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    explained = {reason for row in rows for reason in re.findall(r"`([a-z-]+)`", row)}
    assert explained >= {NO_TIMESTAMP, FROM_THE_FUTURE, *SLUGS.values()}


def test_what_both_doors_refuse_has_one_name() -> None:
    both = SLUGS.keys() & TABLE.keys()
    assert len(both) >= 7
    assert {kind: TABLE[kind].slug for kind in both} == {kind: SLUGS[kind] for kind in both}
