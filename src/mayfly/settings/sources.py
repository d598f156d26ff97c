"""Where settings come from: the file, the environment, the command line, weakest first."""

import difflib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mayfly.model.errors import Misconfigured
from mayfly.settings.toml import TomlFile, read_toml

DEFAULT_FILE = Path("mayfly.toml")
CONFIG_VARIABLE = "MAYFLY_CONFIG"
PREFIX = "MAYFLY_"
TABLES = frozenset({"labels", "renditions", "webhooks"})
_PATHS = frozenset(
    {"data", "keys", "clock", "tls_certificate", "tls_key", "kafka_ca", "kafka_certificate", "kafka_key"}
)
_CLOSE = 0.8
"""How alike an environment variable is to a setting's before it is taken for a slip: others' may begin the same."""


class Source(Protocol):
    @property
    def values(self) -> Mapping[str, Any]:
        """By setting name."""

    @property
    def folder(self) -> Path:
        """Where relative paths begin."""

    def place(self, path: str) -> str:
        """What a fault at this dotted path begins with."""

    def origin(self, name: str) -> str:
        """Where a setting's value is from."""


@dataclass(frozen=True, slots=True)
class FileSource:
    file: TomlFile
    values: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        return Path(self.file.name).parent

    def place(self, path: str) -> str:
        return f"{self.file.place(path)}: {path}"

    def origin(self, name: str) -> str:
        return self.file.place(name)


@dataclass(frozen=True, slots=True)
class EnvironmentSource:
    values: Mapping[str, Any]
    folder: Path = Path()

    def place(self, path: str) -> str:
        name = path.partition(".")[0].partition("[")[0]
        return f"environment {self.origin(name)}" + (f": {path}" if path != name else "")

    def origin(self, name: str) -> str:
        return PREFIX + name.upper()


@dataclass(frozen=True, slots=True)
class OptionSource:
    values: Mapping[str, Any]
    folder: Path = Path()

    def place(self, path: str) -> str:
        name = path.partition(".")[0].partition("[")[0]
        return self.origin(name) + (f": {path}" if path != name else "")

    def origin(self, name: str) -> str:
        return "--" + name.replace("_", "-")


def read_sources(
    config: Path | None, cli: Mapping[str, Any], environ: Mapping[str, str], known: Collection[str]
) -> tuple[list[Source], list[str]]:
    """The sources, weakest first, and the faults that reading them met. What cannot be read counts as empty."""
    faults: list[str] = []
    sources: list[Source] = []
    path = _config_file(config, environ)
    if path is not None:
        try:
            sources.append(_file_source(read_toml(path)))
        except Misconfigured as error:
            faults += error.faults
    sources.append(EnvironmentSource(_from_environment(environ, known, faults)))
    sources.append(OptionSource({name: value for name, value in cli.items() if value is not None}))
    return sources, faults


def suggestion(name: str, known: Collection[str]) -> str:
    """`; did you mean port?`, or nothing."""
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _config_file(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    if config is not None:
        return config
    if environ.get(CONFIG_VARIABLE):
        return Path(environ[CONFIG_VARIABLE])
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _file_source(file: TomlFile) -> FileSource:
    """Relative paths in the file are relative to the file, so that it means the same wherever it is read from."""
    folder = Path(file.name).parent
    paths = {
        name: str(folder / Path(value)) if value[:1] != "~" else value
        for name, value in file.values.items()
        if name in _PATHS and isinstance(value, str) and value
    }
    return FileSource(file, file.values | paths)


def _from_environment(environ: Mapping[str, str], known: Collection[str], faults: list[str]) -> dict[str, Any]:
    """An empty variable counts as not set. One that nearly names a setting is a fault; any other is not ours."""
    values: dict[str, Any] = {}
    for variable, text in sorted(environ.items()):
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX) or not text:
            continue
        if name in TABLES:
            _add_table(values, name, text, faults)
        elif name in known:
            values[name] = text
        elif variable != CONFIG_VARIABLE and (near := difflib.get_close_matches(name, known, n=1, cutoff=_CLOSE)):
            faults.append(f"environment {variable}: no such setting; did you mean {PREFIX}{near[0].upper()}?")
    return values


def _add_table(values: dict[str, Any], name: str, text: str, faults: list[str]) -> None:
    try:
        values[name] = json.loads(text)
    except ValueError as error:
        faults.append(f"environment {PREFIX}{name.upper()}: must be a JSON object ({error})")
