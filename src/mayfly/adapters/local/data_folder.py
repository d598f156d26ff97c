"""The data folder: locked by one owner, and marked with how it was made."""

import fcntl
import json
import os
from pathlib import Path

from mayfly.adapters.local.durable import make_private_folder, sync_folder
from mayfly.model.errors import Misconfigured

FORMAT = 1

_CLOCKS = {True: "movable", False: "system"}


class DataFolder:
    """Holds the lock while it is open. `owner.lock` carries the owner's pid for whoever is refused."""

    def __init__(self, path: Path, *, movable_clock: bool) -> None:
        """Make or open, lock, and check the mark.

        Raises:
            Misconfigured: another process owns it, it was made with the other kind of clock, or by a newer Mayfly.
        """
        self.path = path
        make_private_folder(path)
        self._lock = os.open(path / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take_lock()
            self._check_mark(movable_clock)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        os.close(self._lock)

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._lock, 20, 0).decode().strip() or "unknown"
            raise Misconfigured(
                f"{self.path} is owned by a running mayfly (pid {owner}); stop that one, or give another --data"
            ) from None
        os.pwrite(self._lock, f"{os.getpid():<20}".encode(), 0)

    def _check_mark(self, movable_clock: bool) -> None:
        mark = self.path / "mayfly.json"
        clock = _CLOCKS[movable_clock]
        if not mark.exists():
            if (self.path / "mayfly.db").exists():
                raise Misconfigured(f"{self.path} has lost its mayfly.json; restore the folder, or give another --data")
            self._write_mark(mark, clock)
            return
        made = json.loads(mark.read_text(encoding="utf-8"))
        if made["format"] > FORMAT:
            raise Misconfigured(
                f"{self.path} has format {made['format']}, newer than this Mayfly reads ({FORMAT}): upgrade Mayfly"
            )
        if made["clock"] != clock:
            raise Misconfigured(
                f"{self.path} was made with the {made['clock']} clock and keeps it: "
                + ("leave --clock away" if movable_clock else "give the --clock FILE it was made with")
                + ", or give another --data"
            )

    @staticmethod
    def _write_mark(mark: Path, clock: str) -> None:
        part = mark.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            json.dump({"format": FORMAT, "clock": clock}, file)
            file.flush()
            os.fsync(file.fileno())
        part.rename(mark)
        sync_folder(mark.parent)
