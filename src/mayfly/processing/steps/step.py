"""What a step is, and how its parameters are read."""

import base64
import errno
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

from mayfly.processing.canvas import WHITE, Colour
from mayfly.processing.picture import Picture

_REQUIRED = object()
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that a step needs: read by the parent when settings are, and handed to the worker, which can open none.

    Attributes:
        name: its path, for people. Two are equal if their bytes are.
    """

    name: str = field(compare=False)
    data: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


Files = Callable[[str, str | None, int], bytes]
"""Where the files that steps name are found: by name, the SHA-256 of their content where it is known, and the most
bytes wanted, of which one more is given where there are more. Raises OSError where none can be read."""


def files_beneath(folder: Path) -> Files:
    """`Files` of the parent; relative paths begin in `folder`."""

    def read(name: str, _sha256: str | None, most: int) -> bytes:
        try:
            with (folder / Path(name).expanduser()).open("rb") as file:
                return file.read(most + 1)
        except (ValueError, RuntimeError):
            raise FileNotFoundError(errno.ENOENT, "this is no path") from None

    return read


def files_to_json(attachments: list[Attachment]) -> dict[str, str]:
    """For sending to a worker, each content once."""
    return {one.sha256: base64.b64encode(one.data).decode() for one in attachments}


def files_from_json(raw: Mapping[str, str]) -> Files:
    """`Files` of a worker: the inverse of `files_to_json`."""
    kept = {sha256: base64.b64decode(text) for sha256, text in raw.items()}

    def handed_over(_name: str, sha256: str | None, _most: int) -> bytes:
        return kept[sha256 or ""]

    return handed_over


class Params:
    """One step's table from the settings. Faults are collected, each beginning with its key path; a value that is at
    fault reads as its lowest or first allowed one, so that reading goes on and every fault is found at once."""

    def __init__(self, path: str, raw: Mapping[str, Any], faults: list[str], files: Files | None = None) -> None:
        self.path = path
        self._raw = raw
        self._faults = faults
        self._files = files or files_beneath(Path())
        self._known: set[str] = set()

    def integer(self, key: str, low: int, high: int, default: Any = _REQUIRED) -> int:
        return self._read(
            key,
            default,
            f"a whole number from {low} to {high}",
            lambda value: value if isinstance(value, int) and low <= value <= high else None,
            low,
        )

    def number(self, key: str, low: float, high: float, default: Any = _REQUIRED) -> float:
        """Also written as a whole number; it is the same one."""
        return self._read(
            key,
            default,
            f"a number from {low:g} to {high:g}",
            lambda value: float(value) if isinstance(value, int | float) and low <= value <= high else None,
            low,
        )

    def choice(self, key: str, allowed: tuple[str, ...], default: Any = _REQUIRED) -> str:
        return self._read(
            key,
            default,
            "one of " + ", ".join(f'"{name}"' for name in allowed),
            lambda value: value if isinstance(value, str) and value in allowed else None,
            allowed[0],
        )

    def boolean(self, key: str, default: Any = _REQUIRED) -> bool:
        self._known.add(key)
        value = self._get(key, default, "true or false")
        if isinstance(value, bool):
            return value
        if value is not None:
            self.fault(key, f"must be true or false; got {value!r}")
        return False

    def text(self, key: str, longest: int, default: Any = _REQUIRED) -> str:
        """Of 1 to `longest` characters."""
        return self._read(
            key,
            default,
            f"a text of 1 to {longest} characters",
            lambda value: value if isinstance(value, str) and 1 <= len(value) <= longest else None,
            "",
        )

    def colour(self, key: str, default: Any = _REQUIRED) -> Colour:
        return self._read(
            key,
            default,
            'a colour such as "#ffffff", or "#ffffff80" with transparency',
            lambda value: Colour.parse(value) if isinstance(value, str) else default if value is default else None,
            WHITE,
        )

    def file(self, key: str, most: int) -> Attachment:
        """A file of at most `most` bytes, named by its path. `sha256` beside it may pin its content."""
        name = self.text(key, 4096)
        pinned = self.text("sha256", 64, None) if self.has("sha256") else None
        self._known.add("sha256")
        try:
            data = self._files(name, pinned, most) if name else b""
        except OSError as error:
            self.fault(key, f"{name} cannot be read: {error.strerror}")
            return Attachment(name, b"")
        found = Attachment(name, data)
        if len(data) > most:
            self.fault(key, f"{name} is larger than {most // 1024} KiB; make it smaller")
        elif pinned is not None and pinned != found.sha256:
            self.fault("sha256", f"{name} is another file by now; its SHA-256 is {found.sha256}")
        return found

    def value(self, key: str, wanted: str, default: Any = _REQUIRED) -> Any:
        """Whatever stands there, for a reader that judges it. None where nothing does, which is a fault by then."""
        return self._get(key, default, wanted)

    def has(self, key: str) -> bool:
        return key in self._raw

    def fault(self, key: str, text: str) -> None:
        self._faults.append(f"{self.path}.{key}: {text}")

    def refuse_the_rest(self) -> None:
        """Call last: a key nobody asked for is a fault."""
        for key in self._raw:
            if key not in self._known:
                known = ", ".join(sorted(self._known))
                self.fault(str(key), "is not a parameter here; remove it" + (f", or use one of: {known}" * bool(known)))

    def _read(
        self, key: str, default: Any, wanted: str, reader: Callable[[Any], _Read | None], instead: _Read
    ) -> _Read:
        """What `reader` makes of the value, or `instead` where it makes None of it: then that is a fault."""
        value = self._get(key, default, wanted)
        read = None if value is None or isinstance(value, bool) else reader(value)
        if read is not None:
            return read
        if value is not None:
            self.fault(key, f"must be {wanted}; got {repr(value)[:80]}")
        return instead

    def _get(self, key: str, default: Any, wanted: str) -> Any:
        self._known.add(key)
        value = self._raw.get(key, default)
        if value is _REQUIRED:
            self.fault(key, f"is missing; give {wanted}")
            return None
        return value


class Step(Protocol):
    """A verb with its parameters. Frozen, compared by value."""

    verb: ClassVar[str]

    @classmethod
    def parse(cls, params: Params) -> Self:
        """Read the parameters, reporting faults to `params`."""

    def to_json(self) -> Any:
        """The step as it may stand in settings, with every default written out."""

    def apply(self, picture: Picture) -> Picture:
        """In the worker: the picture after this step, in memory."""


@dataclass(frozen=True, slots=True)
class Bare:
    """What steps without parameters share: the verb says all. It may stand alone, as in `steps = ["orient"]`."""

    verb: ClassVar[str]

    @classmethod
    def parse(cls, params: Params) -> Self:
        params.refuse_the_rest()
        return cls()

    def to_json(self) -> Any:
        return self.verb
