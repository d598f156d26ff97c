"""What a step is, and how its parameters are read."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

from mayfly.processing.picture import Picture

_REQUIRED = object()


class Params:
    """One step's table from the settings. Faults are collected, each beginning with its key path; a value that is at
    fault reads as its lowest or first allowed one, so that reading goes on and every fault is found at once."""

    def __init__(self, path: str, raw: Mapping[str, Any], faults: list[str]) -> None:
        self.path = path
        self._raw = raw
        self._faults = faults
        self._known: set[str] = set()

    def integer(self, key: str, low: int, high: int, default: Any = _REQUIRED) -> int:
        value = self._get(key, default, f"a whole number from {low} to {high}")
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        if value is not None:
            self.fault(key, f"must be a whole number from {low} to {high}; got {value!r}")
        return low

    def choice(self, key: str, allowed: tuple[str, ...], default: Any = _REQUIRED) -> str:
        wanted = "one of " + ", ".join(f'"{name}"' for name in allowed)
        value = self._get(key, default, wanted)
        if isinstance(value, str) and value in allowed:
            return value
        if value is not None:
            self.fault(key, f"must be {wanted}; got {value!r}")
        return allowed[0]

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
                self.fault(str(key), f"is not a parameter here; remove it, or use one of: {', '.join(self._known)}")

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
