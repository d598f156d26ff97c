"""What one server is asked, again and again where that helps: all that a client shares among its threads."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from mayfly.client.door import Door
from mayfly.client.errors import UnavailableError
from mayfly.client.retrying import Persistence
from mayfly.client.shapes import Image, Limits

_PAUSE_SECONDS = 1.0

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

    def ask_once_there_is_room(
        self, path: str, shape: Callable[[Mapping[str, Any]], Answer], body: Mapping[str, Any]
    ) -> Answer:
        """A POST of JSON that puts images into the server's queue: waits while that is long already. It gets shorter
        for as long as the server works, however long that takes."""
        while True:
            try:
                return self.ask("POST", path, shape, json=body)
            except UnavailableError as fault:
                if fault.slug != "busy":
                    raise
                time.sleep(_PAUSE_SECONDS)

    def image(self, identity: str, stop: threading.Event | None = None) -> Image:
        return self.ask("GET", image_path(identity), Image.of, stop=stop)

    def limits(self) -> Limits:
        # Two threads may both ask, the first time: no harm.
        if self._limits is None:
            self._limits = self.ask("GET", "/v1/limits", Limits.of)
        return self._limits


def image_path(identity: str, *parts: str) -> str:
    return "/".join(("/v1/images", *(quote(part, safe="") for part in (identity, *parts))))
