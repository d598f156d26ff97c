"""Bytes on their way out: into a file whole or not at all, going on where a connection was cut."""

import hashlib
import io
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from mayfly.client.door import Door
from mayfly.client.errors import CutError, DamagedError, NotMayflyError
from mayfly.client.server import Server, image_path

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})")


def download(
    server: Server, identity: str, rendition: str | None, to: str | PathLike[str] | BinaryIO | None
) -> bytes | int:
    """See `Client.download`."""
    if isinstance(to, str | PathLike):
        with whole(Path(to)) as file:
            return _fetch(server, identity, rendition, file)
    if to is not None and rendition is None:
        return _fetch(server, identity, rendition, to)
    # Of a rendition a cut begins anew: what was written into somebody's open file could not be taken back.
    held = io.BytesIO()
    size = _fetch(server, identity, rendition, held)
    if to is None:
        return held.getvalue()
    held.seek(0)
    shutil.copyfileobj(held, to)
    return size


def _fetch(server: Server, identity: str, rendition: str | None, target: BinaryIO) -> int:
    most = server.limits().response_bytes
    parts = ("original",) if rendition is None else ("renditions", rendition)
    sha256 = server.image(identity).sha256 if rendition is None else None
    one = Download(server.door, image_path(identity, *parts), target, most, lasting=rendition is None)
    server.persistence.try_until_done(one.go_on, repeatable=True, come=lambda: one.received if one.lasting else 0)
    if sha256 is not None and one.sha256 != sha256:
        raise DamagedError("the bytes are not those that were uploaded (SHA-256 differs): fetch it again")
    return one.received


@dataclass(slots=True)
class Download:
    """One picture into one open file.

    `most` is how many bytes one response carries, None: as many as there are. `lasting` says that the bytes at `path`
    never change: then the rest may come by another request. Where they may change, a cut begins anew, for which
    `target` has to be one that can be emptied.
    """

    door: Door
    path: str
    target: BinaryIO
    most: int | None
    lasting: bool
    received: int = 0
    total: int | None = None
    _digest: Any = field(default_factory=hashlib.sha256)

    def go_on(self) -> None:
        """Fetch what is missing yet; called again after a cut.

        Raises:
            CutError: not all came.
            DamagedError: the picture is of another length than it was.
        """
        if not self.lasting and self.received:
            self.target.seek(0)
            self.target.truncate()
            self.received, self.total, self._digest = 0, None, hashlib.sha256()
        while self.total is None or self.received < self.total:
            before = self.received
            self._request()
            if self.received == before:
                raise CutError(f"{before} of {self.total} bytes came and no more: try again")

    @property
    def sha256(self) -> str:
        """Of all that was received, in hexadecimal."""
        return str(self._digest.hexdigest())

    def _request(self) -> None:
        headers = {}
        if self.received or self.most is not None:
            last = "" if self.most is None else str(self.received + self.most - 1)
            headers["Range"] = f"bytes={self.received}-{last}"
        with self.door.open("GET", self.path, headers=headers) as response:
            start, total = _place(response)
            if start > self.received or self.total not in (None, total):
                raise DamagedError(f"the picture is not the one that was begun ({total} bytes): fetch it again")
            self.total = total
            for chunk in response.iter_bytes():
                # Whoever ignores a Range sends what we have as well.
                fresh = chunk[max(0, self.received - start) :]
                start += len(chunk)
                self.target.write(fresh)
                self._digest.update(fresh)
                self.received += len(fresh)


def _place(response: httpx.Response) -> tuple[int, int]:
    """Where in the picture a response begins, and how long the picture is."""
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        if told := _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "")):
            return int(told[1]), int(told[2])
    elif response.headers.get("Content-Length", "").isdecimal():
        return 0, int(response.headers["Content-Length"])
    raise NotMayflyError("a picture came without its length: see what stands between", response.status_code)


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name only once all is in it: before, and after a failure, what was there stays there.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f".mayfly-{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    except OSError as fault:
        # The name that its reader knows.
        named = str(path) if fault.filename == str(part) else fault.filename
        raise OSError(fault.errno, fault.strerror, named) from fault
    finally:
        part.unlink(missing_ok=True)
