"""A user's own step as the settings write it: `run`, `python` or `http`, with its parameters.

Plain Python that touches nothing but the file of the code, for its fingerprint. `docs/reference/own-steps.md` has the
contract with the code.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

from mayfly.processing.own import reading
from mayfly.processing.own.code import Code, entry_point_code, file_code
from mayfly.processing.steps.step import Params

FACTS = ("personal", "fact", "none")
"""What becomes of the facts a step gives: sealed with the image, shown to analysts, or not even read."""

DEFAULT_MEMORY = 1024
DEFAULT_SCRATCH = 64
"""Both in MiB."""


@dataclass(frozen=True)
class Confined:
    """What programs and functions have in common.

    Attributes:
        timeout: seconds of wall time for one image.
        memory: MiB of address space for each of its processes.
        scratch: MiB of its working folder, which is empty for each image.
        parameters: what the code is given beside the image.
        read: files and folders it may read beside its own file and the system's, relative to `folder`.
        network: whether it may use the network.
        version: to be changed when something matters that is not in its file.
        folder: where relative paths begin. No part of the JSON, nor of what the step does.
    """

    timeout: float = 10.0
    memory: int = DEFAULT_MEMORY
    scratch: int = DEFAULT_SCRATCH
    parameters: reading.Table = ()
    facts: str = FACTS[0]
    read: tuple[str, ...] = ()
    network: bool = False
    version: str = ""
    folder: Path = Path()

    def located(self, folder: Path) -> Self:
        """With relative paths beginning at `folder`: that of mayfly.toml."""
        return replace(self, folder=folder.absolute())

    @property
    def readable(self) -> tuple[Path, ...]:
        """`read` as absolute paths."""
        return tuple(_absolute(self.folder, path) for path in self.read)

    def _missing(self) -> list[str]:
        return [f"read: there is no {path}" for path in self.readable if not path.exists()]

    def _common_json(self) -> dict[str, Any]:
        return {
            "timeout": self.timeout,
            "memory": self.memory,
            "scratch": self.scratch,
            "parameters": dict(self.parameters),
            "facts": self.facts,
            "read": list(self.read),
            "network": self.network,
            "version": self.version,
        }

    @staticmethod
    def _common(params: Params) -> dict[str, Any]:
        found = {
            "timeout": reading.seconds(params),
            "memory": params.integer("memory", 16, 1024 * 1024, DEFAULT_MEMORY),
            "scratch": params.integer("scratch", 1, 64 * 1024, DEFAULT_SCRATCH),
            "parameters": reading.table(params),
            "facts": params.choice("facts", FACTS, FACTS[0]),
            "read": reading.texts(params, "read", "a list of files and folders", []),
            "network": reading.flag(params, "network"),
            "version": reading.text(params, "version", "a text", ""),
        }
        params.refuse_the_rest()
        return found


@dataclass(frozen=True)
class RunStep(Confined):
    """An executable. `command` is its path, or a name looked up on the step's PATH, and its arguments."""

    command: tuple[str, ...] = ()

    verb: ClassVar[str] = "run"

    @classmethod
    def parse(cls, params: Params) -> Self:
        command = reading.texts(params, "command", 'a list of texts, for example ["./x", "--flag"]')
        return cls(command=command, **cls._common(params))

    def to_json(self) -> Any:
        """As it may stand in settings, with every default written out."""
        return {self.verb: {"command": list(self.command), **self._common_json()}}

    @property
    def program(self) -> Path | None:
        """The executable's own path; None where it is one of the system's, by name."""
        return _absolute(self.folder, self.command[0]) if "/" in self.command[0] else None

    @property
    def fingerprint(self) -> str:
        """Names what the step does: its file, its arguments, its parameters, its version."""
        code = file_code(self.program) if self.program else Code(self.command[0])
        return _digest(self.verb, code.identity, list(self.command[1:]), self._matters())

    def faults(self) -> list[str]:
        """What this machine lacks for it."""
        program = self.program
        found = self._missing()
        if program is not None and not program.is_file():
            found.append(f"command: there is no file {program}")
        elif program is not None and not os.access(program, os.X_OK):
            found.append(f"command: {program} is not executable; chmod +x it")
        return found

    def _matters(self) -> list[Any]:
        return [list(self.parameters), self.version, [file_code(path).identity for path in _files(self.readable)]]


@dataclass(frozen=True)
class FunctionStep(Confined):
    """A Python function: `file.py:function`, or the name of an entry point in the group `mayfly.steps`."""

    function: str = ""

    verb: ClassVar[str] = "python"

    @classmethod
    def parse(cls, params: Params) -> Self:
        function = reading.text(params, "function", "file.py:function, or the name of an entry point")
        return cls(function=function, **cls._common(params))

    def to_json(self) -> Any:
        """As it may stand in settings, with every default written out."""
        return {self.verb: {"function": self.function, **self._common_json()}}

    @property
    def file(self) -> Path | None:
        """The file that holds the function; None where it is an entry point."""
        path, found, _name = self.function.rpartition(":")
        return _absolute(self.folder, path) if found else None

    @property
    def name(self) -> str:
        """The function's name in its file, or the entry point's."""
        return self.function.rpartition(":")[2]

    @property
    def fingerprint(self) -> str:
        """Names what the step does: its file or module, its parameters, its version."""
        code = file_code(self.file) if self.file else entry_point_code(self.name)
        files = [file_code(path).identity for path in _files(self.readable)]
        return _digest(self.verb, code.identity, self.name, [list(self.parameters), self.version, files])

    def faults(self) -> list[str]:
        """What this machine lacks for it."""
        found = self._missing()
        if self.file is not None and not self.file.is_file():
            found.append(f"function: there is no file {self.file}")
        elif self.file is None and not entry_point_code(self.name).place:
            found.append(f"function: no installed package has an entry point {self.name!r} in the group mayfly.steps")
        return found


@dataclass(frozen=True)
class HttpStep:
    """An HTTP endpoint, a sidecar as a rule. Change `version` when what it does changes: nobody else can tell."""

    url: str
    secret: str = ""
    timeout: float = 10.0
    parameters: reading.Table = ()
    facts: str = FACTS[0]
    version: str = ""

    verb: ClassVar[str] = "http"

    @classmethod
    def parse(cls, params: Params) -> Self:
        found = cls(
            url=reading.url(params),
            secret=reading.secret(params),
            timeout=reading.seconds(params),
            parameters=reading.table(params),
            facts=params.choice("facts", FACTS, FACTS[0]),
            version=reading.text(params, "version", "a text", ""),
        )
        params.refuse_the_rest()
        return found

    def to_json(self) -> Any:
        """As it may stand in settings, with every default written out."""
        table = {
            "url": self.url,
            "secret": self.secret,
            "timeout": self.timeout,
            "parameters": dict(self.parameters),
            "facts": self.facts,
            "version": self.version,
        }
        return {self.verb: table}

    def located(self, folder: Path) -> Self:
        """As it is: an address begins nowhere else. (`folder` is for the others.)"""
        del folder
        return self

    @property
    def fingerprint(self) -> str:
        """Names what the step does, as far as can be told: its address, its parameters, its version."""
        return _digest(self.verb, self.url, "", [list(self.parameters), self.version])

    def faults(self) -> list[str]:
        """What this machine lacks for it: nothing that could be told without calling it."""
        return []


OwnStep: TypeAlias = RunStep | FunctionStep | HttpStep

OWN_STEPS: Mapping[str, type[OwnStep]] = {step.verb: step for step in (RunStep, FunctionStep, HttpStep)}
"""By verb."""
FIRST_KEYS = {RunStep.verb: "command", FunctionStep.verb: "function", HttpStep.verb: "url"}
"""What the short form gives, by verb."""


def split(entry: Any) -> tuple[str, Mapping[str, Any]] | None:
    """An own step's verb and table, from either form: `{run = {command = ["./x"], timeout = 10}}`, or the short
    `{run = ["./x"], timeout = 10}`. None for any other entry."""
    verbs = [verb for verb in OWN_STEPS if verb in entry] if isinstance(entry, Mapping) else []
    if len(verbs) != 1:
        return None
    verb = verbs[0]
    if isinstance(entry[verb], Mapping):
        return (verb, entry[verb]) if len(entry) == 1 else None
    return verb, {FIRST_KEYS[verb]: entry[verb]} | {key: value for key, value in entry.items() if key != verb}


def _absolute(folder: Path, path: str) -> Path:
    return (folder / Path(path).expanduser()).absolute()


def _files(paths: tuple[Path, ...]) -> list[Path]:
    """Folders are left out: a change in them is told by `version`."""
    return [path for path in paths if path.is_file()]


def _digest(*parts: Any) -> str:
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
