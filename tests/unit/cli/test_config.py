"""`mayfly config`: init, check, show."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mayfly.cli.config import app
from mayfly.settings import Settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), env=env)


def test_init_writes_a_file_that_check_finds_fine() -> None:
    assert run("init").exit_code == 0
    assert run("check").exit_code == 0


def test_init_overwrites_only_when_told_to(folder: Path) -> None:
    (folder / "mayfly.toml").write_text("port = 1")
    refused = run("init")
    assert refused.exit_code == 2
    assert "mayfly.toml exists already; --force overwrites it" in refused.stderr
    assert (folder / "mayfly.toml").read_text() == "port = 1"
    assert run("init", "--force").exit_code == 0
    assert "# port = 8080" in (folder / "mayfly.toml").read_text()


def test_init_says_why_a_file_cannot_be_written() -> None:
    assert "missing/x.toml: cannot be written: No such file" in run("init", "missing/x.toml").stderr


def test_check_tells_every_fault_and_exits_2(folder: Path) -> None:
    (folder / "mayfly.toml").write_text('prot = 1\nport = "x"\n')
    result = run("check", env={"MAYFLY_ATTEMPTS": "0"})
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "mayfly.toml:2: port: must be a whole number (got 'x')",
        "environment MAYFLY_ATTEMPTS: must be at least 1 (got '0')",
        "mayfly.toml:1: prot: no such setting; did you mean port?",
    ]


def test_show_tells_value_and_origin(folder: Path) -> None:
    (folder / "other.toml").write_text("\nport = 1\n")
    lines = run("show", "--config", "other.toml", env={"MAYFLY_ATTEMPTS": "3"}).stdout.splitlines()
    assert "port                   1  [other.toml:2]" in lines
    assert "attempts               3  [MAYFLY_ATTEMPTS]" in lines
    assert "retention              P7D  [default]" in lines
    assert "renditions             thumb, preview, large  [default]" in lines
    assert f"keys                   {folder}/mayfly-data.keys  [default]" in lines


def test_show_as_json_holds_every_setting() -> None:
    shown = json.loads(run("show", "--json").stdout)
    assert set(shown) == set(Settings.model_fields)
    assert shown["port"] == {"value": 8080, "origin": "default"}
    assert shown["renditions"]["value"]["thumb"]["steps"][0] == "orient"
