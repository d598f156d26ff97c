"""`mayfly deadletters`: tables, a sentence where there is nothing, and never everything by accident."""

import json

import pytest

from mayfly.cli.letters import Which, ls, redrive
from mayfly.client import UsageError
from unit.client.conftest import IDENTITY, Scripted
from unit.client.test_letters import bodies, letter, page, redriven

MIXED = {"redriven": 1, "still-refused": 2, "nothing-kept": 4, "too-often": 5, "gone": 6, "under-way": 7}


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
    scripted = Scripted(page(), redriven())
    assert ls(scripted.client(), Which(), as_json=False) == 0
    assert redrive_with(scripted, Which(reason="corrupt")) == 0
    assert tuple(capsys.readouterr()) == ("", "no dead letter matches\n" * 2)


def redrive_with(scripted: Scripted, which: Which, *, everything: bool = False, dry_run: bool = False) -> int:
    return redrive(scripted.client(), which, everything=everything, dry_run=dry_run, force=False, as_json=False)


@pytest.mark.parametrize("which", [Which(), Which(limit=5)])
def test_without_a_filter_it_asks_for_all_before_it_does_anything(which: Which) -> None:
    scripted = Scripted()
    with pytest.raises(UsageError, match="or --all"):
        redrive_with(scripted, which)
    assert scripted.requests == []


@pytest.mark.parametrize("which", [Which("corrupt"), Which(topic="t"), Which(partition=0), Which(until="2026-11-23")])
def test_a_filter_and_all_contradict_each_other(which: Which) -> None:
    scripted = Scripted()
    with pytest.raises(UsageError, match="one of the two"):
        redrive_with(scripted, which, everything=True)
    assert scripted.requests == []


@pytest.mark.parametrize(("result", "offset"), MIXED.items())
def test_what_stays_dead_makes_the_exit_code_1(result: str, offset: int, capsys: pytest.CaptureFixture[str]) -> None:
    code = redrive_with(Scripted(redriven(offset, result=result)), Which(), everything=True)
    assert code == (1 if result in ("still-refused", "nothing-kept", "too-often") else 0)
    table = capsys.readouterr().out.splitlines()
    assert table[1].split()[:2] == [f"images/0/{offset}", result]
    assert table[2].startswith("1 letter: 1 ")


def test_a_dry_run_says_that_nothing_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    scripted = Scripted(redriven(1, 2, cursor="next"), redriven(3, result="gone"))
    assert redrive_with(scripted, Which(), everything=True, dry_run=True) == 0
    assert [body["dry_run"] for body in bodies(scripted)] == [True, True]
    assert capsys.readouterr().out.splitlines()[-1] == (
        "3 letters: 2 redriven, 1 gone meanwhile; a dry run, nothing was done"
    )


def test_json_has_every_result_and_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    scripted = Scripted(redriven(1, 2))
    which = Which(since="2026-11-23T00:00:00Z")
    assert redrive(scripted.client(), which, everything=False, dry_run=False, force=True, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert [result["key"] for result in told["results"]] == ["images/0/1", "images/0/2"]
    assert told["counts"] == {"redriven": 2}
    assert (bodies(scripted)[0]["died_from"], bodies(scripted)[0]["force"]) == ("2026-11-23T00:00:00Z", True)
