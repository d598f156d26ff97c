"""`mayfly consume`: what it is told by its environment, what it refuses, and how little it loads."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from mayfly.cli.consume import environment_of
from mayfly.cli.kafka import need_client
from mayfly.entrypoints.consumers import MISCONFIGURED
from mayfly.model.errors import Misconfigured, Unavailable
from mayfly.settings import Settings
from mayfly.wiring import consumer as wiring
from mayfly.wiring.consumer import consuming

KAFKA = {"kafka": "127.0.0.1:9092", "topic": ["photos", "scans"]}


def test_consumers_find_the_settings_that_the_owner_was_given(tmp_path: Path) -> None:
    config = tmp_path / "mayfly.toml"
    config.write_text('retention = "PT2H"\nkafka_group = "other"\n')
    options = {**KAFKA, "data": tmp_path / "data", "port": "0", "behind_proxy": True, "kafka_group": None, "keys": None}
    environ = {"MAYFLY_KAFKA_MEMORY": "33554432", "PATH": "/bin", "MAYFLY_PORT": "9000"}
    given = environment_of(config, options, environ)
    assert given["PATH"] == "/bin"
    assert Settings.load(None, {}, given).model_dump() == Settings.load(config, options, environ).model_dump()


def test_no_option_changes_nothing() -> None:
    environ = {"MAYFLY_TOPIC": "photos", "HOME": "/root"}
    assert environment_of(None, {"kafka": None, "topic": None}, environ) == environ


@pytest.fixture
def no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "confluent_kafka" else found(name))


@pytest.mark.usefixtures("no_client")
def test_without_the_client_it_says_how_to_install_it() -> None:
    with pytest.raises(Misconfigured, match=r"pip install 'mayfly\[kafka\]'"):
        need_client(Settings.load(None, KAFKA, {}))


@pytest.mark.usefixtures("no_client")
def test_without_kafka_nobody_needs_its_client() -> None:
    need_client(Settings.load(None, {}, {}))


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mayfly", "consume", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, check=False)


def test_with_nothing_to_consume_it_says_what_to_give(tmp_path: Path) -> None:
    done = run(folder=tmp_path)
    assert done.returncode == MISCONFIGURED
    assert "--kafka" in done.stderr
    assert "--topic" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_faulty_setting_is_named(tmp_path: Path) -> None:
    done = run("--kafka", "nowhere", "--topic", "photos", folder=tmp_path)
    assert done.returncode == MISCONFIGURED
    assert "--kafka" in done.stderr


def test_without_an_owner_it_says_which_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "OWNER_SECONDS", 0.1)
    settings = Settings.load(None, {**KAFKA, "data": tmp_path / "data"}, {})
    with pytest.raises(Unavailable, match=f"mayfly up --data {settings.data}"), consuming(settings, {}):
        pass
    assert not settings.data.exists()


def test_a_consumer_loads_neither_libvips_nor_the_web_framework() -> None:
    """Each consumer holds them in memory otherwise, and starts a second later."""
    program = (
        "import sys, mayfly.cli.consume, mayfly.wiring.consumer\n"
        "heavy = {'pyvips', 'pi_heif', 'fastapi', 'starlette', 'uvicorn', 'prometheus_client', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
