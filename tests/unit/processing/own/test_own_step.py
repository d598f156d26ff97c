"""A user's own step in the settings: both forms, its bounds, and a name for what it does."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from mayfly.model.errors import Misconfigured
from mayfly.processing.own import code
from mayfly.processing.own.step import OWN_STEPS, FunctionStep, HttpStep, OwnStep, RunStep, split
from mayfly.processing.steps.step import Params


def parse(entry: dict[str, Any]) -> tuple[OwnStep, list[str]]:
    found = split(entry)
    assert found
    faults: list[str] = []
    return OWN_STEPS[found[0]].parse(Params(found[0], found[1], faults)), faults


def good(entry: dict[str, Any], folder: Path = Path()) -> OwnStep:
    step, faults = parse(entry)
    assert faults == []
    return step.located(folder)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ({"run": ["./x", "-q"], "timeout": 3}, {"run": {"command": ["./x", "-q"], "timeout": 3}}),
        ({"python": "x.py:f", "memory": 64}, {"python": {"function": "x.py:f", "memory": 64}}),
        ({"http": "http://[::1]:9000/x", "version": "2"}, {"http": {"url": "http://[::1]:9000/x", "version": "2"}}),
    ],
)
def test_the_short_form_says_the_same_as_the_long_one(short: dict[str, Any], long: dict[str, Any]) -> None:
    assert good(short) == good(long)


@pytest.mark.parametrize("entry", [{"run": ["./x"]}, {"python": "x.py:f"}, {"http": "https://example.org/x?y=1"}])
def test_json_has_every_default_and_reads_back_the_same(entry: dict[str, Any]) -> None:
    step = good(entry)
    assert step.timeout == 10
    assert step.facts == "personal"
    assert good(step.to_json()) == step


@pytest.mark.parametrize(
    "entry", ["run", {"resize": {}}, {"run": ["x"], "http": "y"}, {"run": {"command": ["x"]}, "timeout": 1}, 3, None]
)
def test_what_is_no_step_of_ones_own_is_left_to_others(entry: Any) -> None:
    assert split(entry) is None


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"run": []}, "run.command: must be a list"),
        ({"run": {}}, "run.command: is missing"),
        ({"run": ["x\0"]}, "run.command: must be"),
        ({"run": "./x"}, "run.command: must be a list"),
        ({"run": ["x"], "timeout": 0}, "run.timeout: must be seconds"),
        ({"run": ["x"], "timeout": 601}, "run.timeout: must be seconds"),
        ({"run": ["x"], "timeout": True}, "run.timeout: must be seconds"),
        ({"run": ["x"], "timeout": float("nan")}, "run.timeout: must be seconds"),
        ({"run": ["x"], "memory": 1}, "run.memory: must be a whole number"),
        ({"run": ["x"], "scratch": 0}, "run.scratch: must be a whole number"),
        ({"run": ["x"], "network": "yes"}, "run.network: must be true or false"),
        ({"run": ["x"], "facts": "all"}, "run.facts: must be one of"),
        ({"run": ["x"], "parameters": {"a": [1]}}, "run.parameters: must be a table"),
        ({"run": ["x"], "parameters": {"a": float("inf")}}, "run.parameters: must be a table"),
        ({"run": ["x"], "parameters": {"a": "x" * 4096}}, "run.parameters: is 4105 bytes"),
        ({"run": ["x"], "parameters": 3}, "run.parameters: must be a table"),
        ({"run": ["x"], "url": "http://x"}, "run.url: is not a parameter here"),
        ({"python": 3}, "python.function: must be"),
        ({"python": ""}, "python.function: must be"),
        ({"http": "ftp://x/"}, "http.url: must be"),
        ({"http": "http://user:pw@x/"}, "http.url: must be"),
        ({"http": "http://x/#y"}, "http.url: must be"),
        ({"http": "http://x:99999/"}, "http.url: must be"),
        ({"http": "http://x/\r\nA: b"}, "http.url: must be"),
        ({"http": "http:///x"}, "http.url: must be"),
        ({"http": "http://x/", "secret": "hunter2"}, "http.secret: must be a reference"),
        ({"http": "http://x/", "memory": 64}, "http.memory: is not a parameter here"),
    ],
)
def test_a_fault_names_its_key_and_what_is_wanted(entry: dict[str, Any], told: str) -> None:
    _, faults = parse(entry)
    assert [fault[: len(told)] for fault in faults] == [told]
    assert "hunter2" not in faults[0]


def test_paths_begin_at_the_folder_of_the_settings(tmp_path: Path) -> None:
    run = good({"run": ["steps/x"], "read": ["model.bin", "/etc/hosts"]}, tmp_path)
    assert isinstance(run, RunStep)
    assert run.program == tmp_path / "steps/x"
    assert run.readable == (tmp_path / "model.bin", Path("/etc/hosts"))
    function = good({"python": "steps/x.py:f"}, tmp_path)
    assert isinstance(function, FunctionStep)
    assert (function.file, function.name) == (tmp_path / "steps/x.py", "f")
    named = good({"run": ["convert", "-"]}, tmp_path)
    assert isinstance(named, RunStep)
    assert named.program is None


@pytest.mark.parametrize(("verb", "value"), [("run", ["./x", "-a"]), ("python", "x:f")])
def test_changed_code_changes_the_fingerprint(tmp_path: Path, verb: str, value: Any) -> None:
    (tmp_path / "x").write_text("one")
    first = good({verb: value}, tmp_path).fingerprint
    assert good({verb: value, "timeout": 3, "memory": 99}, tmp_path).fingerprint == first
    (tmp_path / "x").write_text("two")
    assert good({verb: value}, tmp_path).fingerprint != first


def test_whatever_else_decides_the_outcome_changes_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("one")
    (tmp_path / "model").write_text("one")
    entries: list[dict[str, Any]] = [
        {"run": ["./x"]},
        {"run": ["./x", "-a"]},
        {"run": ["./x"], "version": "2"},
        {"run": ["./x"], "parameters": {"a": 1}},
        {"run": ["./x"], "parameters": {"a": "1"}},
        {"run": ["./x"], "read": ["model"]},
        {"run": ["x"]},
        {"python": "./x:f"},
        {"python": "./x:g"},
        {"http": "http://127.0.0.1/x"},
        {"http": "http://127.0.0.1/y"},
        {"http": "http://127.0.0.1/x", "version": "2"},
        {"http": "http://127.0.0.1/x", "parameters": {"a": 1}},
    ]
    found = [good(entry, tmp_path).fingerprint for entry in entries]
    (tmp_path / "model").write_text("two")
    found.append(good(entries[5], tmp_path).fingerprint)
    assert len(set(found)) == len(found)


def test_a_moved_folder_changes_no_fingerprint(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("same")
    one, other = (good({"run": ["./x"]}, tmp_path / name).fingerprint for name in ("a", "b"))
    assert one == other


def test_an_entry_point_is_known_by_its_package_and_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "GROUP", "pytest11")
    found = code.entry_point_code("hypothesispytest")
    assert version("hypothesis") in found.identity
    assert found.place == "_hypothesis_pytestplugin"
    assert len(found.identity.split()[-1]) == 64


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("not executable")
    faults = [
        *good({"run": ["./x"], "read": ["model"]}, tmp_path).faults(),
        *good({"run": ["./y"]}, tmp_path).faults(),
        *good({"python": "y.py:f"}, tmp_path).faults(),
        *good({"python": "nobody-offers-this"}).faults(),
    ]
    assert [fault.split(" ")[0] for fault in faults] == ["read:", "command:", "command:", "function:", "function:"]
    assert "chmod" in faults[1]
    with pytest.raises(Misconfigured, match=r"y\.py"):
        _ = good({"python": "y.py:f"}, tmp_path).fingerprint
    assert isinstance(good({"http": "http://127.0.0.1/"}), HttpStep)
