"""`mayfly deadletters`: tables, a sentence where there is nothing, and never everything by accident."""

import json

import pytest

from mayfly.cli.letters import Which, ls
from unit.client.conftest import IDENTITY, Scripted
from unit.client.test_letters import letter, page


def test_letters_are_listed_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    scripted = Scripted(page(letter(1), letter(22, image_id=None, kept=False, reason="too-large", redrives=3)))
    assert ls(scripted.client(), Which(topic="images"), as_json=False) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    died, expires = "2026-11-23T03:25:50.942Z", "2026-11-23T04:26:00Z"
    assert lines == [
        ["letter", "reason", "died", "expires", "redrives", "image"],
        ["images/0/1", "corrupt", died, expires, "0", IDENTITY],
        ["images/0/22", "too-large", died, expires, "3", "nothing", "kept"],
    ]


def test_a_limit_ends_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    scripted = Scripted(page(letter(1), letter(2), cursor="next"))
    assert ls(scripted.client(), Which(limit=1), as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"items": [letter(1)]}


def test_where_nothing_matches_a_sentence_says_so_and_stdout_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    scripted = Scripted(page())
    assert ls(scripted.client(), Which(), as_json=False) == 0
    assert tuple(capsys.readouterr()) == ("", "no dead letter matches\n")
