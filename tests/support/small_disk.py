"""A small disk under a server's folders, to be filled.

Both folders of the server lie on a small tmpfs in a mount namespace of its own. A process that only waits holds the
namespace, so that it outlives restarts; the test looks in through that process's root in /proc.
"""

import contextlib
import errno
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SIZE = "48m"
_MOUNT = """
set -e
mount -t tmpfs -o size={size} tmpfs "$1/disk"
for name in data keys; do
  mkdir "$1/disk/$name"
  mount --bind "$1/disk/$name" "$1/$name"
done
echo mounted
exec cat
"""


@dataclass
class SmallDisk:
    """The disk under a server's folders, and the process that holds it."""

    holder: subprocess.Popen[str]
    folder: Path
    user: bool

    @property
    def root(self) -> Path:
        return Path(f"/proc/{self.holder.pid}/root")

    def seen(self, path: Path) -> Path:
        """Where the test finds what the server calls `path`."""
        return self.root / path.relative_to("/")

    def wrapper(self) -> tuple[str, ...]:
        """What to put before a command that is to run on this disk."""
        user = ("--user", "--preserve-credentials") if self.user else ()
        return ("nsenter", f"--target={self.holder.pid}", "--mount", *user, "--")

    def fill(self) -> None:
        """Take every byte, page by page at the end."""
        descriptor = os.open(self.seen(self.folder / "disk" / "filling"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(_Full):
                    while True:
                        _append(descriptor, bytes(size))
        finally:
            os.close(descriptor)
        assert self.free() == 0

    def clear(self) -> None:
        self.seen(self.folder / "disk" / "filling").unlink()

    def free(self) -> int:
        return shutil.disk_usage(self.seen(self.folder / "disk")).free

    def objects(self) -> list[str]:
        root = self.seen(self.folder / "data" / "objects")
        return sorted(name for _, _, names in os.walk(root) for name in names)

    def reserve_bytes(self) -> int:
        reserve = self.seen(self.folder / "data" / "reserve")
        return reserve.stat().st_size if reserve.exists() else 0

    def holds_key_of(self, minute: int) -> bool:
        """Whether the slot of that minute holds anything."""
        slots = self.seen(self.folder / "keys" / "minutes.slots").read_bytes()[4_096:]
        return any(slots[minute % (len(slots) // 64) * 64 :][:64])


class _Full(Exception):
    """There is no room for that many bytes."""


def _append(descriptor: int, data: bytes) -> None:
    try:
        written = os.write(descriptor, data)
    except OSError as fault:
        if fault.errno == errno.ENOSPC:
            raise _Full from None
        raise
    if written < len(data):
        raise _Full


def small_disk(folder: Path) -> SmallDisk | None:
    """A disk in a namespace of its own: as the user who asks, or as the root one is already."""
    for name in ("disk", "data", "keys"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for user, options in ((True, "-rm"), (False, "-m")):
        command = ["unshare", options, "sh", "-c", _MOUNT.format(size=SIZE), "mount", str(folder)]
        with contextlib.suppress(FileNotFoundError):
            holder = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            assert holder.stdout is not None
            if holder.stdout.readline().strip() == "mounted":
                return SmallDisk(holder, folder, user)
            holder.communicate()
    return None
