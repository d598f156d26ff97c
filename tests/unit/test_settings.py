"""Settings: which source wins, what is refused, and that every fault is told at once with its place."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mayfly.model.errors import Misconfigured
from mayfly.model.retention import Retention
from mayfly.settings import Settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(
    toml: str | None = None, cli: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    if toml is not None:
        Path("mayfly.toml").write_text(toml, encoding="utf-8")
    return Settings.load(None, cli or {}, environ or {})


def faults(
    toml: str | None = None, cli: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        load(toml, cli, environ)
    return list(caught.value.faults)


def test_without_any_source_the_defaults_hold(folder: Path) -> None:
    settings = load()
    assert (settings.host, settings.port, settings.attempts) == ("127.0.0.1", 8080, 5)
    assert settings.retention == Retention.parse("P7D")
    assert settings.workers >= 1
    assert settings.keys_folder == folder / "mayfly-data.keys"
    assert [recipe.name for recipe in settings.renditions] == ["thumb", "preview", "large"]
    assert set(settings.origins.values()) == {"default"}
    assert set(settings.origins) == set(Settings.model_fields)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file() -> None:
    toml = "# a comment\nport = 1\nattempts = 1\nmax_frames = 1\n"
    settings = load(toml, {"port": 3, "attempts": None}, {"MAYFLY_PORT": "2", "MAYFLY_ATTEMPTS": "2"})
    assert (settings.port, settings.attempts, settings.max_frames) == (3, 2, 1)
    assert settings.origins["port"] == "--port"
    assert settings.origins["attempts"] == "MAYFLY_ATTEMPTS"
    assert settings.origins["max_frames"] == "mayfly.toml:4"
    assert settings.origins["host"] == "default"


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(environ={"MAYFLY_PORT": ""}).port == 8080


def test_tables_come_as_json_from_the_environment() -> None:
    settings = load("[labels]\nother = 'fact'\n", environ={"MAYFLY_LABELS": '{"site": "fact", "who": "personal"}'})
    assert settings.labels == {"site": "fact", "who": "personal"}


def test_the_file_is_the_named_one_or_the_variable_s() -> None:
    Path("a.toml").write_text("port = 1")
    Path("b.toml").write_text("port = 2")
    environ = {"MAYFLY_CONFIG": "b.toml"}
    assert Settings.load(Path("a.toml"), {}, environ).port == 1
    assert Settings.load(None, {}, environ).port == 2


def test_paths_in_the_file_are_relative_to_the_file(folder: Path) -> None:
    Path("etc").mkdir()
    Path("etc/m.toml").write_text("data = 'd'\nkeys = '/k'\nclock = '~/c'")
    settings = Settings.load(Path("etc/m.toml"), {}, {})
    assert (settings.data, settings.keys) == (Path("etc/d"), Path("/k"))
    assert settings.clock == Path.home() / "c"
    assert load(cli={"data": Path("d")}).keys_folder == folder / "d.keys"


def test_settings_are_frozen() -> None:
    settings = load()
    with pytest.raises(ValidationError):
        settings.port = 1


def test_all_faults_of_all_sources_are_told_at_once() -> None:
    toml = '\nport = "eighty"\nprot = 1\ndata = "d"\nkeys = "d/k"\n[labels]\nSite = "fact"\nb = "secret"\n'
    told = faults(toml, {"attempts": 0}, {"MAYFLY_MAX_BYTES": "10485761", "MAYFLY_LOG_FROMAT": "json"})
    assert told[0] == "environment MAYFLY_LOG_FROMAT: no such setting; did you mean MAYFLY_LOG_FORMAT?"
    assert "mayfly.toml:2: port: must be a whole number (got 'eighty')" in told
    assert "mayfly.toml:3: prot: no such setting; did you mean port?" in told
    assert "--attempts: must be at least 1 (got 0)" in told
    assert "environment MAYFLY_MAX_BYTES: must be at most 10485760 (got '10485761')" in told
    assert "mayfly.toml:8: labels.b: must be one of 'fact' or 'personal' (got 'secret')" in told
    assert any(fault.startswith("mayfly.toml:7: labels.Site: must be 1 to 32 of a-z") for fault in told)
    assert any(fault.startswith("mayfly.toml:5: keys: the keys' folder must not lie beneath") for fault in told)
    assert len(told) == 8


def test_a_fault_in_a_recipe_is_told_with_its_own_line() -> None:
    toml = """
[renditions.thumb]
steps = [
  "orient",
  {resize = {width = -3, height = 4, mode = "fit"}},
  "smear",
  {encode = {format = "webp"}},
]
"""
    width, smear = faults(toml)
    assert width.startswith("mayfly.toml:5: renditions.thumb.steps[1].resize.width: ")
    assert smear.startswith("mayfly.toml:6: renditions.thumb.steps[2]: ")


def test_a_fault_in_a_table_from_the_environment_names_its_path() -> None:
    assert faults(environ={"MAYFLY_LABELS": '{"a": 1}'}) == [
        "environment MAYFLY_LABELS: labels.a: must be one of 'fact' or 'personal' (got 1)"
    ]
    (told,) = faults(environ={"MAYFLY_RENDITIONS": "thumb"})
    assert told.startswith("environment MAYFLY_RENDITIONS: must be a JSON object")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_a_host_that_is_no_loopback_address_is_refused(host: str) -> None:
    """Without more, that is: see test_settings_reach."""
    (told,) = faults(cli={"host": host})
    assert told.startswith("--host: ")
    assert "loopback" in told
    assert "ssh -L" in told


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_loopback_host_is_taken(host: str) -> None:
    assert load(cli={"host": host}).host == host


@pytest.mark.parametrize(
    ("data", "keys"),
    [("d", "d"), ("d", "d/k"), ("d", "d/../d/k/l"), ("k/d", "k"), ("d", "link"), ("/", None), ("d", "./d")],
)
def test_keys_and_data_never_lie_in_one_another(data: str, keys: str | None, folder: Path) -> None:
    (folder / "d").mkdir()
    (folder / "link").symlink_to(folder / "d")
    (told,) = faults(cli={"data": Path(data), "keys": keys and Path(keys)})
    assert "folder must not lie beneath" in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", -1),
        ("port", 65_536),
        ("port", True),
        ("port", 1.5),
        ("workers", 0),
        ("max_bytes", 10 * 1024 * 1024 + 1),
        ("max_pixels", 0),
        ("worker_seconds", 0),
        ("worker_seconds", float("inf")),
        ("worker_memory", 1),
        ("max_uploads", 0),
        ("retention", "P8D"),
        ("retention", "PT0M"),
        ("retention", 7),
        ("log_format", "xml"),
        ("data", 7),
        ("labels", {f"l{n}": "fact" for n in range(17)}),
        ("labels", ["site"]),
        ("renditions", ["thumb"]),
    ],
)
def test_what_is_out_of_bounds_is_refused_saying_what_holds_and_what_was_got(name: str, value: object) -> None:
    (told,) = faults(cli={name: value})
    assert told.startswith(f"--{name.replace('_', '-')}: ")
    assert "got " in told


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("port = \n", "mayfly.toml:1:8: is not TOML: Invalid value"),
        ("a = 1\na = 2\n", "mayfly.toml:2:6: is not TOML: Cannot overwrite a value"),
        ("[labels", "mayfly.toml: is not TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_told_with_line_and_column(toml: str, said: str) -> None:
    told = faults(toml, {"port": -1})
    assert told[0].startswith(said)
    assert told[1].startswith("--port:")


def test_a_file_that_cannot_be_read_is_a_fault() -> None:
    with pytest.raises(Misconfigured, match=r"missing\.toml: cannot be read: No such file"):
        Settings.load(Path("missing.toml"), {}, {})
    Path("latin.toml").write_bytes(b"data = '\xff'")
    with pytest.raises(Misconfigured, match=r"latin\.toml: is not UTF-8"):
        Settings.load(Path("latin.toml"), {}, {})


def test_variables_of_others_are_left_alone() -> None:
    assert load(environ={"MAYFLY_URL": "http://127.0.0.1:1", "MAYFLY_CONFIG": "", "PORT": "x"}).port == 8080


def test_the_command_s_help_does_not_wait_for_the_settings() -> None:
    program = "import sys, mayfly.cli.config; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "False"


OWN = """
[renditions.mine]
steps = [
  {run = ["./x", "--loud"], timeout = 20},
  {python = {function = "steps.py:look", facts = "fact"}},
  {http = "http://127.0.0.1:9000/step", timeout = 0},
  {encode = {format = "webp"}},
]
"""


def test_own_steps_are_written_short_or_long_and_their_files_lie_beside_the_settings_file(folder: Path) -> None:
    (folder / "x").write_text("#!/bin/sh\n")
    (folder / "x").chmod(0o755)
    (folder / "steps.py").write_text("def look(picture): ...\n")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    os.chdir(elsewhere)
    (folder / "mine.toml").write_text(OWN.replace("timeout = 0", "timeout = 1"))
    settings = Settings.load(folder / "mine.toml", {}, {})
    mine = settings.renditions[0]
    run, function, endpoint = (leg.own for leg in mine.legs)
    assert (run.timeout, function.facts, endpoint.timeout) == (20, "fact", 1)
    assert mine.first is None
    assert [step.fingerprint for step in (run, function)]
    shown = settings.model_dump(mode="json")["renditions"]["mine"]["steps"]
    assert shown[0]["run"]["command"] == ["./x", "--loud"]
    assert shown[1]["python"]["function"] == "steps.py:look"


def test_what_own_steps_lack_is_told_with_every_other_fault_at_its_line() -> None:
    found = faults("port = -1\n" + OWN + '[renditions.other]\nsteps = [{run = ["./x"], colour = 1}, {run = ["./x"]}]\n')
    places = [fault.partition(": ")[0] + ": " + fault.split(": ")[1] for fault in found]
    assert places == [
        "mayfly.toml:1: port",
        "mayfly.toml:5: renditions.mine.steps[0].run.command",
        "mayfly.toml:6: renditions.mine.steps[1].python.function",
        "mayfly.toml:7: renditions.mine.steps[2].http.timeout",
        "mayfly.toml:11: renditions.other.steps[0].run.colour",
        "mayfly.toml:11: renditions.other.steps[1]",
    ]
    assert "the last step must be \"encode\"; got 'run'" in found[-1]


def test_own_steps_in_the_environment_lie_where_the_server_starts(folder: Path) -> None:
    (folder / "x").write_text("#!/bin/sh\n")
    (folder / "x").chmod(0o755)
    raw = '{"mine": {"steps": [{"run": ["./x"]}, {"encode": {"format": "png"}}]}}'
    assert load(None, None, {"MAYFLY_RENDITIONS": raw}).renditions[0].legs
