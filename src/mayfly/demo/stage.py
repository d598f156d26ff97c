"""Where the story takes place: its folders, its clock, and what is left in them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mayfly.demo import checker
from mayfly.demo.server import Server
from mayfly.demo.visitor import Visit, Visitor


@dataclass
class Stage:
    """What the story knows. The folders lie side by side in one temporary folder."""

    folder: Path
    visits: list[Visit] = field(default_factory=list)
    keys_before: dict[int, bytes] = field(default_factory=dict)
    """The minute keys of the images, by minute, as they stood in the key file while the images lived."""
    faults: list[str] = field(default_factory=list)
    _starts: int = 0

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def clock(self) -> Path:
        return self.folder / "clock"

    @property
    def copy(self) -> Path:
        """The copy of the data folder, as taken while the images lived. No server ever runs on it."""
        return self.folder / "copy"

    @property
    def opened_copy(self) -> Path:
        """A copy of the copy, while a server runs on it."""
        return self.folder / "copy-opened"

    @contextmanager
    def serving(self) -> Iterator[Visitor]:
        """The real one, on the living folders."""
        with self._server(self.data, self.keys, self.clock) as visitor:
            yield visitor

    @contextmanager
    def serving_copy(self, keys: Path, clock: Path) -> Iterator[Visitor]:
        """On a copy of the copy: a server may change what it runs on, and the copy is evidence.

        The keys are copied too, since a key folder has one owner; the copy of them is destroyed at the end.
        """
        keys_copy = self.folder / "keys-opened"
        copy_folder(self.copy, self.opened_copy)
        copy_folder(keys, keys_copy)
        try:
            with self._server(self.opened_copy, keys_copy, clock) as visitor:
                yield visitor
        finally:
            shutil.rmtree(self.opened_copy)
            shutil.rmtree(keys_copy)

    @contextmanager
    def _server(self, data: Path, keys: Path, clock: Path) -> Iterator[Visitor]:
        self._starts += 1
        log = self.folder / f"server-{self._starts}.log"
        with Server(data, keys, clock, log) as server, Visitor(server.address) as visitor:
            yield visitor

    def remember_keys(self) -> None:
        for visit in self.visits:
            minute = checker.minute_of(visit.answer["expires_at"])
            key = checker.find_key(self.keys, minute)
            if key is None:
                self.faults.append(
                    f"{visit.sample.name}: no key of its minute is to be found, so that none can be missed"
                )
            else:
                self.keys_before[minute] = key

    def leftovers(self) -> list[str]:
        """What is still there of the images: keys, files, pieces of their sealed bytes, rows."""
        faults = checker.key_faults(self.keys, self.keys_before)
        for visit in self.visits:
            sealed = [path.read_bytes() for path in self.copy.rglob(f"{visit.id}*")]
            faults += checker.file_faults(self.data, visit.id, sealed)
            faults += checker.row_faults(self.data, visit.id)
        return faults


def set_clock(clock: Path, offset_s: int) -> None:
    """Replace the file at once: every process reads it on each use."""
    fresh = clock.with_suffix(".new")
    fresh.write_text(f"+{offset_s}\n")
    fresh.replace(clock)


def copy_folder(source: Path, target: Path) -> None:
    """Files and folders, permissions included; sockets hold nothing."""

    def sockets(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if Path(folder, name).is_socket()]

    shutil.copytree(source, target, ignore=sockets)
