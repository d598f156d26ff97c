"""docs/reference/cli.md describes the commands there are, as they are."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from mayfly.cli import app, client, config

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")


def sections() -> dict[str, str]:
    parts = re.split(r"^## mayfly ", PAGE, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_command_has_its_section_and_every_section_its_command() -> None:
    assert sections().keys() == {*COMMANDS, "--version"}


def test_every_option_is_named_and_no_other() -> None:
    for name, command in COMMANDS.items():
        shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
        options = {text for parameter in shown for text in parameter.opts if text.startswith("-")}
        options -= {"-h", "--help"}
        named = set(re.findall(r"`(--?[a-z-]+)", sections()[name]))
        assert named == options, name


def test_every_command_has_an_example_and_its_exit_codes() -> None:
    codes = re.findall(r"^\| (\d) \|", PAGE, re.MULTILINE)
    assert [int(code) for code in codes] == [0, client.FAILED, config.MISCONFIGURED, client.UNREACHABLE, client.GONE]
    for name, text in sections().items():
        assert re.search(rf"^mayfly {re.escape(name)}", text, re.MULTILINE), name
        assert re.search(r"Exit codes?: 0", text), name
        assert set(re.findall(r"\b\d\b", text.partition("Exit code")[2].partition("```")[0])) <= set(codes), name
