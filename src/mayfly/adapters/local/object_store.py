"""Objects as files: `ROOT/{expiry minute}/{id}.{kind}.{name}`, atomic, fsync'd, flat within a minute.

A write goes to a `.part` file in the same folder and is renamed when it is durable, so what stands under a name is
whole. The folder is the fence: a purge removes it with everything in it, and a write that comes later finds no file
to rename. Only `create` makes folders, and it looks at the clock after it has made one, not before:

    late writer                      purge
    mkdir minute                                        the folder may come back for an instant,
    look at the clock -> due                            but the clock is past the minute for good:
    rmdir, raise Expired                                nothing is ever renamed into it
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from mayfly.adapters.local.durable import make_private_folder, storage_full_named, sync_folder
from mayfly.model.address import Address, parse_file_name
from mayfly.model.errors import AlreadyExists, Expired, ObjectMissing
from mayfly.model.instant import Minute, minute_end, minute_label, parse_minute_label
from mayfly.ports.clock import Clock
from mayfly.ports.object_store import ObjectReader, ObjectWriter, Removed, StoredObject

_PART = ".part"
_MOST_REMEMBERED = 20_000
"""Folders. Twice the minutes of the longest life."""


class LocalObjectStore:
    """Implements `ports.object_store.ObjectStore`."""

    def __init__(self, root: Path, clock: Clock) -> None:
        make_private_folder(root)
        self._root = root
        self._clock = clock
        self._durable_folders: set[Path] = set()

    def create(self, address: Address, *, replace: bool = False) -> ObjectWriter:
        return _FileWriter(self._folder(address.minute), address, self._clock, replace, self._sync)

    def open(self, address: Address) -> ObjectReader:
        return _FileReader(self._folder(address.minute) / address.file_name)

    def delete(self, address: Address) -> None:
        self._unlink(self._folder(address.minute), address.file_name)

    def discard(self, found: StoredObject) -> None:
        folder = self._folder(found.address.minute)
        if not found.unfinished:
            self._unlink(folder, found.address.file_name)
            return
        for name in _names(folder):
            if name.endswith(_PART) and _address_of(name) == found.address:
                self._unlink(folder, name)

    def minutes(self, through: Minute | None = None) -> list[Minute]:
        found, now = [], self._clock.now()
        # Labels sort as their minutes do: what is past the bound is neither parsed nor opened.
        last = None if through is None else minute_label(through)
        for name in _names(self._root):
            if last is not None and name > last:
                continue
            with contextlib.suppress(ValueError):
                minute = parse_minute_label(name)
                if self._anything_in(self._root / name, minute_end(minute) <= now):
                    found.append(minute)
        return sorted(found)

    def listing(self, minute: Minute) -> list[StoredObject]:
        found = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._folder(minute)) as entries:
            for entry in entries:
                address = _address_of(entry.name)
                if address is None or address.minute != minute:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    size = entry.stat(follow_symlinks=False).st_size
                    found.append(StoredObject(address, size, entry.name.endswith(_PART)))
        return found

    def purge(self, minute: Minute) -> Removed:
        folder = self._folder(minute)
        stood = self.listing(minute)
        # Forgotten before it goes: whoever makes the folder anew makes its name durable anew.
        self._durable_folders.discard(folder)
        # Whatever stands in it, sub-folders too, past anything that cannot be removed: `minutes` still shows that, as
        # it does a part that a write begun in time may still add.
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            # Something else in the folder's place.
            os.unlink(folder)
        sync_folder(self._root)
        left = {(found.address, found.unfinished) for found in self.listing(minute)}
        return Removed.of([found for found in stood if (found.address, found.unfinished) not in left])

    def strays(self) -> list[str]:
        found = []
        for name in _names(self._root):
            try:
                minute = parse_minute_label(name)
                standing = _names(self._root / name)
            except (ValueError, NotADirectoryError):
                found.append(name)
                continue
            for inner in standing:
                address = _address_of(inner)
                if address is None or address.minute != minute:
                    found.append(f"{name}/{inner}")
        return found

    def _folder(self, minute: Minute) -> Path:
        return self._root / minute_label(minute)

    def _anything_in(self, folder: Path, due: bool) -> bool:
        """Whether anything stands in a minute's folder, or in its place."""
        if due:
            # An empty folder of a minute that is due (its writes were aborted, its objects erased) goes here: with
            # no record of the minute, no purge would come for it. A folder that is not empty stays.
            self._durable_folders.discard(folder)
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        try:
            with os.scandir(folder) as entries:
                return next(entries, None) is not None
        except FileNotFoundError:
            return False
        except (NotADirectoryError, PermissionError):
            return True

    def _sync(self, folder: Path) -> None:
        """Make a new name in a minute's folder durable, and the folder's own name if nobody has yet.

        Whoever made the folder may not have synced its name by now, so the maker is not relied upon.
        """
        sync_folder(folder)
        if folder not in self._durable_folders:
            sync_folder(self._root)
            if len(self._durable_folders) >= _MOST_REMEMBERED:
                # Another process purges, where this one only stores: nobody tells it which folders are gone.
                self._durable_folders.clear()
            self._durable_folders.add(folder)

    @staticmethod
    def _unlink(folder: Path, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(folder / name)
            sync_folder(folder)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _address_of(name: str) -> Address | None:
    """The address of a finished file `{file name}`, or of an unfinished `{file name}.{random}.part`."""
    if name.endswith(_PART):
        name = name.removesuffix(_PART).rpartition(".")[0]
    return parse_file_name(name)


class _FileWriter:
    def __init__(
        self, folder: Path, address: Address, clock: Clock, replace: bool, sync: Callable[[Path], None]
    ) -> None:
        self._sync = sync
        self._folder = folder
        self._final = folder / address.file_name
        self._part = folder / f"{address.file_name}.{secrets.token_hex(6)}{_PART}"
        self._expires_at = address.image_id.expires_at
        self._clock = clock
        self._replace = replace
        self._descriptor = -1
        with storage_full_named():
            self._open_part()
        if clock.now() >= self._expires_at:
            self.abort()
            with contextlib.suppress(OSError):
                os.rmdir(folder)
            raise Expired("the image is due: nothing more is stored for it")

    def write(self, data: bytes) -> None:
        with storage_full_named():
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def commit(self) -> None:
        try:
            with storage_full_named():
                os.fsync(self._descriptor)
                if self._clock.now() >= self._expires_at:
                    raise Expired("the image is due: nothing more is stored for it")
                self._publish()
                self._make_durable()
        except FileNotFoundError:
            raise Expired("the image's minute was purged while it was written") from None
        finally:
            self.abort()

    def abort(self) -> None:
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._part)

    def _open_part(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        while self._descriptor < 0:
            try:
                self._descriptor = os.open(self._part, flags, 0o600)
            except FileNotFoundError:
                self._folder.mkdir(mode=0o700, exist_ok=True)

    def _make_durable(self) -> None:
        """Leave the final name alone, durably. A new one that may not survive a power cut is taken back; a replaced
        one stays, for what stood there before is gone already."""
        try:
            self.abort()
            self._sync(self._folder)
        except OSError:
            if not self._replace:
                with contextlib.suppress(OSError):
                    os.unlink(self._final)
            raise

    def _publish(self) -> None:
        if self._replace:
            os.rename(self._part, self._final)
            return
        # link() refuses an existing name in one step; `abort` takes the part's own name away.
        try:
            os.link(self._part, self._final)
        except FileExistsError:
            raise AlreadyExists("an object stands at this address already") from None


class _FileReader:
    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ObjectMissing("no object stands at this address") from None
        self.size = os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
