"""What is uploaded: a file, bytes, or an open file. It can be read from its beginning as often as there are tries."""

import io
import mimetypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from mayfly.client.errors import UsageError

CHUNK_BYTES = 65_536
MOST_HELD_BYTES = 64 * 1024 * 1024
"""How much of an open file is held in memory, for another try: it may be a stream that cannot be rewound."""
UNDECLARED = "application/octet-stream"

Readable = str | PathLike[str] | bytes | BinaryIO
"""A path, the bytes themselves, or a file opened for reading bytes."""

_BEGINNINGS = (
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"GIF8", 0, "image/gif"),
    (b"II*\x00", 0, "image/tiff"),
    (b"MM\x00*", 0, "image/tiff"),
    (b"WEBP", 8, "image/webp"),
    (b"ftypavif", 4, "image/avif"),
    (b"ftypavis", 4, "image/avif"),
    (b"ftyp", 4, "image/heic"),
)
"""How the types that are taken begin: some bytes, and where. A form has to say its type beforehand."""
_BEGINNING_BYTES = 16


@dataclass(frozen=True, slots=True)
class Source:
    """`size` is bytes. `open` gives the bytes from the first on, in a file that its reader closes."""

    size: int
    file_name: str | None
    media_type: str
    open: Callable[[], BinaryIO]

    @contextmanager
    def chunks(self, sent: Callable[[int], None]) -> Iterator[Iterator[bytes]]:
        """The bytes in chunks; `sent` is told of each, in bytes, once it was asked for the next."""
        with self.open() as file:
            yield metered(file, sent)

    @property
    def disposition(self) -> str | None:
        """`Content-Disposition` with the file's name, for old readers and for any name (RFC 6266, RFC 8187)."""
        if self.file_name is None:
            return None
        plain = "".join(c for c in self.file_name if c.isascii() and c.isprintable() and c not in '"\\')
        quoted = quote(self.file_name.encode(errors="surrogateescape"), safe="")
        return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quoted}"

    def told_type(self) -> str:
        """The declared type, or the one its first bytes tell."""
        if self.media_type != UNDECLARED:
            return self.media_type
        with self.open() as file:
            beginning = file.read(_BEGINNING_BYTES)
        told = (kind for magic, at, kind in _BEGINNINGS if beginning[at : at + len(magic)] == magic)
        return next(told, UNDECLARED)


def source_of(readable: Readable, file_name: str | None, media_type: str | None) -> Source:
    """
    Args:
        file_name: None: a path's own.
        media_type: None: an image type that the name tells is declared, so that a misnamed file is noticed.

    Raises:
        OSError: the file cannot be read.
        UsageError: an open file holds more than MOST_HELD_BYTES.
    """
    name = file_name
    opener: Callable[[], BinaryIO]
    match readable:
        case bytes() | bytearray() | memoryview():
            held = bytes(readable)
            size, opener = len(held), lambda: io.BytesIO(held)
        case str() | PathLike():
            path = Path(readable)
            name = path.name if file_name is None else file_name
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
            opener = lambda: path.open("rb")  # noqa: E731 - one line, as its sisters
        case _:
            size, opener = _of_file(readable)
    return Source(size, name, media_type or _declared(name), opener)


def metered(file: BinaryIO, sent: Callable[[int], None]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
        sent(len(chunk))


class MeteredFile:
    """A file as a form's part wants it, telling how much of it was read."""

    def __init__(self, file: BinaryIO, sent: Callable[[int], None]) -> None:
        self._file = file
        self._sent = sent

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._sent(len(data))
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _of_file(file: BinaryIO) -> tuple[int, Callable[[], BinaryIO]]:
    """An open file from where it stands to its end. Closing it is left to its owner."""
    held = file.read(MOST_HELD_BYTES + 1)
    if len(held) > MOST_HELD_BYTES:
        raise UsageError(f"an open file of more than {MOST_HELD_BYTES} bytes: give its path instead")
    return len(held), lambda: io.BytesIO(held)


def _declared(name: str | None) -> str:
    guessed = mimetypes.guess_type(name or "")[0] or ""
    return guessed if guessed.startswith("image/") else UNDECLARED
