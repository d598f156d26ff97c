"""The page about records says what is so."""

import re

import pytest

from mayfly.intake import envelope
from mayfly.intake.envelope import envelope_of
from mayfly.intake.reasons import FROM_THE_FUTURE, NO_TIMESTAMP, SLUGS
from mayfly.intake.redrive import MOST_REDRIVES
from mayfly.intake.stream import PATIENCE
from mayfly.model.claim import Claim
from mayfly.model.retention import Retention
from support.landing import GIF, POISON, Landing
from support.pages import ROOT, blocks

PAGE = (ROOT / "docs/reference/kafka.md").read_text(encoding="utf-8")
SHOWN = [text for place, text in blocks("json") if place.startswith("docs/reference/kafka.md")]


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_every_reason_is_told_and_no_other() -> None:
    assert {row[0].strip("`") for row in rows("Reasons")} == {NO_TIMESTAMP, FROM_THE_FUTURE, *SLUGS.values()}


def test_every_header_that_is_read_is_told() -> None:
    told = set(re.findall(r"`([a-z_-]+)", "".join(row[0] for row in rows("The headers"))))
    assert told == {*envelope._READ, "ce_label"}


@pytest.mark.parametrize("content_type", ["application/json", "application/cloudevents+json"])
def test_the_claim_checks_that_are_shown_are_read(content_type: str) -> None:
    text = SHOWN[0] if content_type == "application/json" else SHOWN[1]
    read = envelope_of([("content-type", content_type.encode())], text.encode())
    assert isinstance(read.claim, Claim)
    assert read.claim.size == 482_113
    if content_type != "application/json":
        assert (read.event, read.retain) == ("/cameras/7\x002026-11-23/0001", Retention(1_440))
        assert read.labels == {"site": "north"}
    assert read.fault is None


def test_its_figures_are_the_codes() -> None:
    for figure in (f"{envelope.LONGEST_HEADER:,} bytes", f"{envelope.MOST_HEADERS} headers"):
        assert figure in PAGE
    assert (envelope.LONGEST_CLAIM, PATIENCE, MOST_REDRIVES) == (64 * 1024, 60_000, 3)


@pytest.mark.parametrize(("value", "kept"), [(POISON, "yes"), (None, "no"), (GIF.ljust(10_001), "no")])
def test_what_is_said_to_be_kept_is(value: bytes | None, kept: str) -> None:
    landing = Landing()
    landing.take(landing.record(value))
    (letter,) = landing.letters.unpublished(10)
    said = {row[0].strip("`"): row[1] for row in rows("Reasons")}
    assert said[letter.reason] == kept
    assert (letter.image_id is not None) == (kept == "yes")
