"""Dead letters, page by page."""

from collections.abc import Iterator, Mapping

from mayfly.client.looking import Time, written
from mayfly.client.server import Server
from mayfly.client.shapes import DeadLetter, Document

_PATH = "/v1/deadletters"

Filters = Mapping[str, Time | int | None]


def letters(server: Server, filters: Filters, page_size: int) -> Iterator[DeadLetter]:
    """See `Client.deadletters`."""
    parameters = {name: written(value) for name, value in {**filters, "limit": page_size}.items() if value is not None}
    while True:
        page = server.ask("GET", _PATH, _as_it_came, params=parameters)
        yield from map(DeadLetter.of, page["items"])
        if page["next_cursor"] is None:
            return
        parameters["cursor"] = page["next_cursor"]


def _as_it_came(document: Document) -> Document:
    return document
