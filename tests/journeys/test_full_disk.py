"""A disk with no byte left: keys and files die on time all the same, uploads are told so, and all heals.

Both folders of the server lie on a small tmpfs in a mount namespace of its own. A process that only waits holds the
namespace, so that it outlives restarts; the test looks in through that process's root in /proc.
"""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from support.processes import hold
from support.server import MakeServer, Server, until

SIZE = "48m"
RESERVE_BYTES = 16 * 1024 * 1024
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


def _mounted(folder: Path) -> SmallDisk | None:
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


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    found = _mounted(tmp_path / "server")
    if found is None:
        told = "no tmpfs can be mounted here: nothing shows here what happens on a full disk"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    yield found
    # Its input ends, so it does, and the disk with it.
    found.holder.communicate()


@pytest.fixture
def server(disk: SmallDisk, make_server: MakeServer) -> Server:
    """One on the small disk, with a clock to move. `make_server` is closed before the disk goes."""
    return make_server(
        movable=True,
        options=("--workers", "1"),
        environment={"MAYFLY_WORKER_SECONDS": "600"},
        wrapper=disk.wrapper(),
    ).start()


def minute_of_death(image: dict[str, str]) -> int:
    return int(datetime.fromisoformat(image["expires_at"]).timestamp()) // 60


def refused(server: Server, body: bytes) -> bool:
    """An upload is told that there is no room, and when to come again."""
    response = server.post("/v1/images", content=body)
    if response.status_code == 201:
        return False
    assert (response.status_code, response.json()["type"]) == (503, "/problems/storage-full")
    assert int(response.headers["retry-after"]) > 0
    return True


def test_on_a_full_disk_keys_and_files_still_die_on_time(server: Server, disk: SmallDisk, photo: bytes) -> None:
    dying = [server.upload(photo, retain="PT1H") for _ in range(3)]
    living = server.upload(photo, retain="PT5H")
    for image in (*dying, living):
        server.until_state(image["id"], "processed")
    disk.fill()
    before = disk.objects()
    assert refused(server, photo)
    assert refused(server, photo[:3_000])
    assert disk.objects() == before
    assert server.get(f"/v1/images/{living['id']}/original").content == photo

    server.move_clock(3_600 + 120)
    until(lambda: len(disk.objects()) == 4, "the sweep")
    assert not any(disk.holds_key_of(minute_of_death(image)) for image in dying)
    assert disk.holds_key_of(minute_of_death(living))
    assert [server.get(f"/v1/images/{image['id']}").status_code for image in dying] == [410, 410, 410]
    until(lambda: server.post("/v1/sweeps", json={}).json()["unverified"] == [], "the records to go")
    assert [item["id"] for item in server.get("/v1/images").json()["items"]] == [living["id"]]
    assert server.get(f"/v1/images/{living['id']}/original").content == photo


def test_an_erasure_on_a_full_disk_is_kept_through_a_kill(server: Server, disk: SmallDisk, photo: bytes) -> None:
    image = server.upload(photo)
    server.until_state(image["id"], "processed")
    disk.fill()
    assert httpx.delete(f"{server.url}/v1/images/{image['id']}", timeout=60).status_code == 204
    disk.fill()
    assert disk.objects() == []
    server.kill()
    server.start()
    assert server.get(f"/v1/images/{image['id']}").status_code == 410
    assert server.get("/v1/images").json()["items"] == []


def test_work_on_a_full_disk_is_given_back_uncounted_and_all_heals(
    server: Server, disk: SmallDisk, small: bytes
) -> None:
    held, worker = hold(server, small)
    waiting = [server.upload(small) for _ in range(3)]
    disk.fill()
    os.kill(worker, signal.SIGCONT)
    until(lambda: '"verdict_waits"' in server.log.read_text(encoding="utf-8"), "the worker to find no room")
    assert refused(server, small)
    assert server.image(held["id"])["state"] == "processing"
    assert not [name for name in disk.objects() if name.startswith(held["id"]) and ".original." not in name]

    disk.clear()
    for image in (held, *waiting):
        done = server.until_state(image["id"], "processed", "failed")
        assert (done["state"], done["attempts"]) == ("processed", 1)
    server.until_state(server.upload(small)["id"], "processed")
    assert server.post("/v1/sweeps", json={}).json()["orphans"] == 0
    assert len(disk.objects()) == len(server.get("/v1/images").json()["items"]) * 4


def test_keys_and_files_die_though_the_reserve_is_spent_and_the_server_was_killed(
    server: Server, disk: SmallDisk, photo: bytes
) -> None:
    image = server.upload(photo, retain="PT1H")
    server.until_state(image["id"], "processed")
    server.kill()
    disk.seen(server.data / "reserve").unlink()
    disk.fill()
    server.move_clock(3_600 + 120)
    server.start()
    assert not disk.holds_key_of(minute_of_death(image))
    assert disk.objects() == []
    until(lambda: server.post("/v1/sweeps", json={}).json()["unverified"] == [], "the records to go")


def test_a_server_that_was_killed_starts_on_a_full_disk_and_keys_die(
    server: Server, disk: SmallDisk, small: bytes
) -> None:
    held, _ = hold(server, small, retain="PT1H")
    living = server.upload(small)
    server.kill()
    disk.fill()
    # What was held is given back on that disk, and what fell due meanwhile goes before the server is ready.
    server.start()
    assert server.get(f"/v1/images/{living['id']}/original").content == small
    server.stop()
    disk.fill()
    server.move_clock(3_600 + 120)
    server.start()
    assert not disk.holds_key_of(minute_of_death(held))
    assert not [name for name in disk.objects() if name.startswith(held["id"])]
    assert server.get(f"/v1/images/{living['id']}/original").content == small

    disk.clear()
    done = server.until_state(living["id"], "processed", "failed")
    assert (done["state"], done["attempts"]) == ("processed", 1)
    server.post("/v1/sweeps", json={})
    assert disk.reserve_bytes() == RESERVE_BYTES
