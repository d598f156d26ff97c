"""mayfly.toml as it stands: its values, and the line of each.

`tomllib` tells no lines, and no maintained library does without bringing a whole editor's model of the file. So the
lines are found with `tomllib` itself: statement by statement, each parsed with the table header above it.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mayfly.model.errors import Misconfigured

_POSITION = re.compile(r" \(at line (\d+), column (\d+)\)$")
_CLOSINGS = ("", "]", "]]", "]]]", '"""', "'''")
"""What makes the beginning of a statement that spans lines a whole one, so that its parts get their own lines."""
_LAST_STEP = re.compile(r"(\.[^.\[\]]+|\[\d+\])$")


@dataclass(frozen=True, slots=True)
class TomlFile:
    """`lines` maps dotted paths such as `renditions.thumb.steps[1].resize` to lines, counted from 1."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def place(self, path: str) -> str:
        """`mayfly.toml:12`: the line of the path, or of the nearest thing around it that has one."""
        while path and path not in self.lines:
            path = _LAST_STEP.sub("", path) if _LAST_STEP.search(path) else ""
        return f"{self.name}:{self.lines[path]}" if path else self.name


def read_toml(path: Path) -> TomlFile:
    """Read and parse.

    Raises:
        Misconfigured: it cannot be read or is no TOML; says where.
    """
    try:
        text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
        return TomlFile(str(path), tomllib.loads(text), key_lines(text))
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path}: is not UTF-8 (at byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        position = _POSITION.search(str(error))
        where = f"{path}:{position[1]}:{position[2]}" if position else str(path)
        raise Misconfigured(f"{where}: is not TOML: {_POSITION.sub('', str(error))}") from None


def key_lines(text: str) -> dict[str, int]:
    """The line of each table, key and array element of a valid TOML text, by dotted path."""
    lines: dict[str, int] = {}
    header, statement = "", ""
    for number, line in enumerate(text.split("\n"), start=1):
        statement += line + "\n"
        for closing in _CLOSINGS:
            parsed = _parse(header + statement + closing)
            if parsed is None:
                continue
            for path in _paths(parsed, ""):
                lines.setdefault(path, number)
            if not closing:
                header = statement if statement.lstrip().startswith("[") else header
                statement = ""
            break
    return lines


def _parse(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _paths(value: object, path: str) -> Iterator[str]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths(inner, f"{path}[{index}]")
