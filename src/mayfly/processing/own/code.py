"""Which code a step runs, told without running any of it."""

import hashlib
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import entry_points
from pathlib import Path

from mayfly.model.errors import Misconfigured

GROUP = "mayfly.steps"
"""The group of entry points in which packages offer steps."""


@dataclass(frozen=True, slots=True)
class Code:
    """`identity` changes when the code does; `place` is `module:function` of an entry point that is installed."""

    identity: str
    place: str = ""


def file_code(path: Path) -> Code:
    """A file's content.

    Raises:
        Misconfigured: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return Code(hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror}); a step of the settings names it") from None


def entry_point_code(name: str) -> Code:
    """The version of the package that offers the entry point, and its module's source. Nothing is imported: it is the
    user's code, and this process holds the keys."""
    for found in entry_points(group=GROUP, name=name):
        version = f"{found.dist.name} {found.dist.version}" if found.dist else ""
        origin = _origin(found.module)
        source = file_code(Path(origin)).identity if origin else ""
        return Code(f"{version} {found.value} {source}", found.value)
    return Code(f"no entry point {name}")


def _origin(module: str) -> str | None:
    """Where a module's source is, found from the path alone."""
    path: list[str] | None = None
    spec: ModuleSpec | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return spec.origin if spec and spec.has_location else None
