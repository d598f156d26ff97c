"""`Client`: everything a program asks of a Mayfly server."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Self, overload

import httpx

from mayfly.client.door import Door
from mayfly.client.downloading import download
from mayfly.client.errors import GoneError
from mayfly.client.looking import Time, page, wait
from mayfly.client.many import Progress, Uploaded, upload_many
from mayfly.client.operating import Operating
from mayfly.client.retrying import Persistence
from mayfly.client.server import Server, image_path
from mayfly.client.shapes import SETTLED, Image, Limits, Page
from mayfly.client.source import Readable
from mayfly.client.uploading import Meter, upload, wishes_of

DEFAULT_URL = "http://127.0.0.1:8080"
_LARGEST_PAGE = 200


class Client(Operating):
    """A Mayfly server, as a program sees it. Thread-safe; a context manager that closes its connections.

    What can be repeated is: after a lost connection, a timeout or a 503, with growing pauses, `Retry-After` heeded. An
    upload never becomes two images by it. A server is waited for only once it has answered: a wrong url is told at
    once.

    Args:
        url: scheme, host and port. On this machine no proxy of the environment is used.
        token: for a server that asks for one; never sent in clear over a network.
        ca: a PEM file of the authorities that sign the server's certificate. None: the system's.
        timeout: seconds without any progress, of one try.
        retries: how often one request is tried again. The pauses of 8 add up to 16 to 32 seconds.
        transport: another way to the server than the network (tests).

    Raises:
        UsageError: url, token or CA cannot be used.
        OSError: the CA cannot be read.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        ca: str | PathLike[str] | None = None,
        timeout: float = 60.0,
        retries: int = 8,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._server = Server(Door(url, token, ca, timeout, transport), Persistence(retries))

    def __repr__(self) -> str:
        return f"Client({str(self._server.door.url)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._server.door.close()

    def upload(
        self,
        source: Readable,
        *,
        file_name: str | None = None,
        media_type: str | None = None,
        retain: timedelta | str | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        form: bool | None = None,
    ) -> Image:
        """Upload one image: a path, bytes, or a file opened for reading bytes (held in memory, 64 MiB at most).

        Once it returns, the image would survive a power cut of the server.

        Args:
            file_name: kept, sealed. None: a path's own.
            media_type: None: what the name tells of an image; otherwise the server finds out.
            retain: live shorter than the server's setting: whole minutes, as a timedelta or as ISO 8601 (`PT1H`).
            labels: each declared by the server's settings.
            idempotency_key: the same key and bytes again are the same image, in another process, too. None: a new one.
            form: by a form (`POST /v1/uploads`), or not. None: above the server's `direct_bytes`.

        Raises:
            RefusedError, UnavailableError, ...: the server said no.
            OSError: the file cannot be read.
            UsageError: the arguments do not fit together.
        """
        wishes = wishes_of(retain, labels, idempotency_key)
        return upload(self._server, source, wishes, file_name=file_name, media_type=media_type, form=form)

    def upload_many(
        self,
        paths: Iterable[str | PathLike[str]],
        *,
        concurrency: int = 4,
        ordered: bool = True,
        retain: timedelta | str | None = None,
        labels: Mapping[str, str] | None = None,
        form: bool | None = None,
        progress: Callable[[Progress], None] | None = None,
        on_result: Callable[[Uploaded], None] | None = None,
    ) -> Generator[Uploaded, None, None]:
        """Upload files, some at once; an iterator over what became of each. One failure stops no other.

        Nothing begins before the first is asked for. `paths` may be endless: no more than twice `concurrency` are
        taken ahead. Whoever leaves the iterator early (`close`) waits for what is under way; the rest is not begun.

        Args:
            concurrency: 1 to 64 at once.
            ordered: in the order of `paths`; otherwise as they end.
            progress, on_result: called as things happen, in the threads that upload: `progress` by one at a time.

        Raises:
            UsageError: at once, for arguments. What goes wrong with a file is its result's `error`.
        """
        wishes = wishes_of(retain, labels)

        def one(path: Path, meter: Meter, stop: threading.Event) -> Image:
            return upload(self._server, path, wishes, form=form, meter=meter, stop=stop)

        return upload_many(one, paths, concurrency, ordered=ordered, progress=progress, on_result=on_result)

    def image(self, image_id: str) -> Image:
        """One image and its facts.

        Raises:
            NotFoundError, GoneError: it is not there, or no more.
        """
        return self._server.image(image_id)

    def images(
        self,
        *,
        state: str | None = None,
        source: str | None = None,
        received_from: Time | None = None,
        received_to: Time | None = None,
        page_size: int = _LARGEST_PAGE,
    ) -> Iterator[Image]:
        """Living images, newest first, asked for page by page as the iterator goes on.

        Args:
            state: `received`, `processing`, `processed`, `failed` or `rejected`.
            source: `http` or `kafka`.
            received_from, received_to: born at or after; born before. A datetime has to be aware.
        """
        cursor: str | None = None
        while True:
            page = self.page(
                state=state,
                source=source,
                received_from=received_from,
                received_to=received_to,
                limit=page_size,
                cursor=cursor,
            )
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def page(
        self,
        *,
        state: str | None = None,
        source: str | None = None,
        received_from: Time | None = None,
        received_to: Time | None = None,
        limit: int | str | None = None,
        cursor: str | None = None,
    ) -> Page:
        """One page of images, newest first: `limit` of them, 1 to 200, after the `cursor` of the page before."""
        return page(
            self._server,
            state=state,
            source=source,
            received_from=received_from,
            received_to=received_to,
            limit=limit,
            cursor=cursor,
        )

    def wait(self, image: Image | str, *, timeout: float = 300.0, states: Iterable[str] = SETTLED) -> Image:
        """The image once it is in one of the states: by default processed, failed or rejected.

        Args:
            timeout: seconds.

        Raises:
            NotYetError: not in time.
            GoneError: it died, or was erased, before.
        """
        return wait(self._server, image, timeout, states)

    @overload
    def download(self, image: Image | str, to: None = None, *, rendition: str | None = None) -> bytes: ...
    @overload
    def download(
        self, image: Image | str, to: str | PathLike[str] | BinaryIO, *, rendition: str | None = None
    ) -> int: ...
    def download(
        self, image: Image | str, to: str | PathLike[str] | BinaryIO | None = None, *, rendition: str | None = None
    ) -> bytes | int:
        """The original, or a rendition: returned, or into a file.

        An original goes on where a connection was cut, and its SHA-256 is checked. A rendition begins anew, for it may
        have been made anew.

        Args:
            to: a path: the file appears whole or not at all. An open file: written to; a rendition, once all is there.
                None: returned.

        Returns:
            The bytes; with `to`, how many they are.

        Raises:
            GoneError, NotFoundError: it is not there, or no more.
            DamagedError: the bytes are not those that were uploaded.
            OSError: the file cannot be written.
        """
        return download(self._server, _id_of(image), rendition, to)

    def erase(self, image: Image | str) -> None:
        """Erase early. When it returns, bytes and record are gone.

        Raises:
            NotFoundError, GoneError: it is not there, or no more.
        """
        tries = 0

        def attempt() -> None:
            nonlocal tries
            tries += 1
            try:
                self._server.door.tell("DELETE", image_path(_id_of(image)))
            except GoneError:
                # A try before this one erased it; only its answer was lost.
                if tries == 1:
                    raise

        self._server.persistence.try_until_done(attempt, repeatable=True)

    def retry(self, image: Image | str) -> Image:
        """Process a failed image again.

        Raises:
            ConflictError: it is not failed.
        """
        return self._server.ask("POST", image_path(_id_of(image), "retry"), Image.of, repeatable=False)

    def limits(self) -> Limits:
        """What one request may carry. Asked for once."""
        return self._server.limits()


def _id_of(image: Image | str) -> str:
    return image.id if isinstance(image, Image) else image
