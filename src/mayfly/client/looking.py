"""Lists of images, and waiting for one."""

import time
from collections.abc import Iterable
from datetime import datetime

from mayfly.client.errors import NotYetError, UsageError
from mayfly.client.server import Server
from mayfly.client.shapes import Image, Page

_FIRST_LOOK_SECONDS = 0.05
_LONGEST_LOOK_SECONDS = 2.0

Time = datetime | str


def page(server: Server, **filters: Time | int | None) -> Page:
    """See `Client.page`."""
    parameters = {name: written(value) for name, value in filters.items() if value is not None}
    return server.ask("GET", "/v1/images", Page.of, params=parameters)


def wait(server: Server, image: Image | str, timeout: float, states: Iterable[str]) -> Image:
    """See `Client.wait`."""
    wanted = frozenset(states)
    deadline = time.monotonic() + timeout
    pause = _FIRST_LOOK_SECONDS
    current = image if isinstance(image, Image) else server.image(image)
    while current.state not in wanted:
        left = deadline - time.monotonic()
        if left <= 0:
            raise NotYetError(f"{current.id} is {current.state} after {timeout:g} s: wait longer, or see why")
        time.sleep(min(pause, left))
        pause = min(_LONGEST_LOOK_SECONDS, pause * 1.5)
        current = server.image(current.id)
    return current


def written(value: Time | int) -> str:
    """As the server reads it.

    Raises:
        UsageError: a time without an offset.
    """
    if not isinstance(value, datetime):
        return str(value)
    if value.tzinfo is None:
        raise UsageError(f"a time without an offset: {value}; give it one, such as datetime.now(UTC)")
    return value.isoformat()
