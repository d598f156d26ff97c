"""What one server is asked, again and again where that helps: all that a client shares among its threads."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from mayfly.client.door import Door
from mayfly.client.retrying import Persistence
from mayfly.client.shapes import Image, Limits

Answer = TypeVar("Answer")


class Server:
    def __init__(self, door: Door, persistence: Persistence) -> None:
        self.door = door
        self.persistence = persistence
        self._limits: Limits | None = None

    def ask(
        self,
        method: str,
        path: str,
        shape: Callable[[Mapping[str, Any]], Answer],
        *,
        repeatable: bool = True,
        stop: threading.Event | None = None,
        **how: Any,
    ) -> Answer:
        """The answer's JSON, given a shape. See `Door.ask` and `Persistence.try_until_done`."""
        return self.persistence.try_until_done(
            lambda: self.door.ask(method, path, shape, **how), repeatable=repeatable, stop=stop
        )

    def image(self, identity: str, stop: threading.Event | None = None) -> Image:
        return self.ask("GET", image_path(identity), Image.of, stop=stop)

    def limits(self) -> Limits:
        # Two threads may both ask, the first time: no harm.
        if self._limits is None:
            self._limits = self.ask("GET", "/v1/limits", Limits.of)
        return self._limits


def image_path(identity: str, *parts: str) -> str:
    return "/".join(("/v1/images", *(quote(part, safe="") for part in (identity, *parts))))
