"""The data folder and its keys folder: each locked by one owner, marked with how it was made, and bound to the other.

The two carry one random id, their pair. With other keys than its own a data folder would answer nothing, and the keys
it was made with would never be destroyed: so a start with a stranger's is refused.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

from mayfly.adapters.local.durable import make_private_folder, opening, sync_folder
from mayfly.model.errors import Misconfigured, Owned

FORMAT = 1

_CLOCKS = {True: "movable", False: "system"}
_DATA_MARK = "mayfly.json"
_KEYS_MARK = "mayfly-keys.json"
"""Not the data's name: a data folder given as --keys, or the other way round, is seen to be none."""

_KEY_FILES = (_KEYS_MARK, "minutes.slots", "weeks.slots", "erased.ids")
_AS_GOOD_AS_EMPTY = frozenset({"owner.lock", "mayfly.part", "mayfly-keys.part", "lost+found"})
"""What a start cut short may leave, and what a fresh file system holds."""


class DataFolder:
    """Holds both locks while it is open. `owner.lock` carries the owner's pid for whoever is refused."""

    def __init__(self, path: Path, keys: Path, *, movable_clock: bool) -> None:
        """Make or open both, lock them, and check their marks. What belongs to others is left as it is.

        Raises:
            Misconfigured: another process owns one, one is no folder of ours or cannot be opened, they do not belong
                together, or the data was made with the other kind of clock or by a newer Mayfly.
        """
        self.path = path
        self._keys = keys
        with ExitStack() as locks:
            with opening("--data"):
                _claim(path, "--data", (_DATA_MARK, "mayfly.db"))
                _lock(path, "--data", locks)
                made = self._check_mark(movable_clock)
            with opening("--keys"):
                if self._holds_data and not keys.exists():
                    raise self._strange_keys(made)
                _claim(keys, "--keys", _KEY_FILES)
                _lock(keys, "--keys", locks)
                self._pair(made, movable_clock)
            self._locks = locks.pop_all()

    @property
    def origin(self) -> str:
        """A URI that names this folder, and no other, for as long as it is there."""
        return f"urn:uuid:{UUID(_read_mark(self.path / _DATA_MARK)['pair'])}"

    def close(self) -> None:
        self._locks.close()

    def room(self) -> tuple[int, int]:
        """Bytes free to us, and bytes at all, on the data's file system."""
        system = os.statvfs(self.path)
        return system.f_bavail * system.f_frsize, system.f_blocks * system.f_frsize

    def database_bytes(self) -> int:
        """What the database and its log take on disk."""
        files = (self.path / "mayfly.db", self.path / "mayfly.db-wal")
        return sum(file.stat().st_size for file in files if file.exists())

    @property
    def _holds_data(self) -> bool:
        return (self.path / "mayfly.db").exists()

    def _check_mark(self, movable_clock: bool) -> Mapping[str, Any]:
        """The data's mark; empty if it has none yet."""
        made = _read_mark(self.path / _DATA_MARK)
        if not made:
            if self._holds_data:
                raise Misconfigured(f"{self.path} has lost its mayfly.json; restore the folder, or give another --data")
            return {}
        if made["format"] > FORMAT:
            raise Misconfigured(
                f"{self.path} has format {made['format']}, newer than this Mayfly reads ({FORMAT}): upgrade Mayfly"
            )
        if made.get("clock") != _CLOCKS[movable_clock]:
            raise Misconfigured(
                f"{self.path} was made with the {made.get('clock')} clock and keeps it: "
                + ("leave --clock away" if movable_clock else "give the --clock FILE it was made with")
                + ", or give another --data"
            )
        return made

    def _pair(self, made: Mapping[str, Any], movable_clock: bool) -> None:
        """Check that the two belong together, or see that they do from now on."""
        held = _read_mark(self._keys / _KEYS_MARK)
        if held and held["format"] > FORMAT:
            raise Misconfigured(
                f"{self._keys} has format {held['format']}, newer than this Mayfly reads ({FORMAT}): upgrade Mayfly"
            )
        pair = held.get("pair")
        has_keys = (self._keys / "minutes.slots").exists()
        if self._holds_data and not has_keys:
            raise self._strange_keys(made)
        if pair is not None and pair == made.get("pair"):
            return
        if self._holds_data and "pair" in made:
            raise self._strange_keys(made)
        # Nothing is kept here yet, or folders from before there were pairs. The keys' mark goes first: a start cut
        # short between the two leaves a data folder without an id, which adopts the keys' at the next.
        if pair is None:
            pair = secrets.token_hex(16)
            _write_mark(self._keys / _KEYS_MARK, {"format": FORMAT, "pair": pair})
        mark = {"format": FORMAT, "clock": _CLOCKS[movable_clock], "pair": pair, "keys": str(self._keys.resolve())}
        _write_mark(self.path / _DATA_MARK, mark)

    def _strange_keys(self, made: Mapping[str, Any]) -> Misconfigured:
        place = f", made as {made['keys']}," if "keys" in made else ""
        return Misconfigured(
            f"the keys folder that belongs to {self.path}{place} is missing: {self._keys} is another. Give the right "
            "one with --keys; if it is lost, nothing in the data can be opened any more: give another --data and --keys"
        )


def _claim(path: Path, option: str, ours: tuple[str, ...]) -> None:
    """Make the folder, or see that it is empty or ours before its mode is touched."""
    if not path.exists():
        make_private_folder(path)
        return
    strangers = set(os.listdir(path)) - _AS_GOOD_AS_EMPTY
    if strangers and not any((path / name).exists() for name in ours):
        raise Misconfigured(
            f"{path} holds other files ({min(strangers)!r}) and is none of Mayfly's: "
            f"give a new or an empty folder with {option}"
        )
    if path.stat().st_mode & 0o777 != 0o700:
        path.chmod(0o700)


def _lock(folder: Path, option: str, locks: ExitStack) -> None:
    descriptor = os.open(folder / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    locks.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 20, 0).decode().strip() or "unknown"
        raise Owned(
            f"{folder} is owned by a running mayfly (pid {owner}); stop that one, or give another {option}"
        ) from None
    os.pwrite(descriptor, f"{os.getpid():<20}".encode(), 0)


def _read_mark(path: Path) -> dict[str, Any]:
    """What a mark says; empty if there is none."""
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        made = None
    if not isinstance(made, dict) or not isinstance(made.get("format"), int):
        raise Misconfigured(f"{path} is damaged; restore it, or give other folders with --data and --keys")
    return made


def _write_mark(path: Path, mark: Mapping[str, Any]) -> None:
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(mark, file)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_folder(path.parent)
