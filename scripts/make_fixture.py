"""Make a data folder and its keys with a running Mayfly, and keep both as a tar with what is in them.

Usage: python scripts/make_fixture.py --out tests/fixtures/NAME.tar.xz [--python PATH] [--commit HASH]

`--python` is the interpreter of the Mayfly that makes it (this one's by default), `--commit` what that was. The server
is killed at the end, with one image in its worker's hands and one waiting: what is kept is what a power cut leaves.
tests/journeys/test_upgrade.py opens every fixture there is with today's code. Most of a fixture's size are its keys,
10,140 of 32 random bytes: `up` makes them ahead for seven days.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pyvips

from mayfly.adapters.local.claim_source import LocalClaimSource
from mayfly.adapters.local.object_store import LocalObjectStore
from mayfly.adapters.local.owner_socket import short_path
from mayfly.adapters.owner.admissions import OwnerAdmissions
from mayfly.adapters.owner.clock import OwnerClock
from mayfly.adapters.owner.dead_letters import OwnerDeadLetters
from mayfly.adapters.owner.keys import OwnerKeys
from mayfly.adapters.owner.line import OwnerLine
from mayfly.adapters.owner.under_way import OwnerUnderWay
from mayfly.intake.intake import Intake
from mayfly.intake.stream import Kept, StreamDoor
from mayfly.model.instant import Ms
from mayfly.model.journal import untold
from mayfly.model.stream import Coordinates, Partition, StreamRecord
from mayfly.vault.vault import Vault

ROOT = Path(__file__).resolve().parent.parent
CONFIG = """\
attempts = 1

[labels]
site = "fact"
customer = "personal"
"""
HOUR, DAY, WEEK = "PT1H", "P1D", "P7D"
KEY = "a-key-of-the-fixture"
PATIENCE_SECONDS = 60
LARGEST = 10 * 2**20
"""Bytes of an image, by default."""

Image = dict[str, Any]


def picture(width: int, height: int, suffix: str) -> bytes:
    ramp = pyvips.Image.xyz(width, height)[0] * 255 / width
    made: bytes = ramp.bandjoin([128, 200]).cast("uchar").copy(interpretation="srgb").write_to_buffer(suffix)
    return made


def until(check: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.02)
    raise SystemExit(f"waited in vain for {what}")


class Maker:
    """Drives one server over HTTP."""

    def __init__(self, url: str, owner: int) -> None:
        self._http = httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False)
        self._owner = owner

    def wait_until_ready(self) -> None:
        until(lambda: self._http.get("/readyz").status_code == 200, "readiness")

    def upload(self, body: bytes, name: str = "picture", *, key: str | None = None, **wishes: str) -> Image:
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if key is not None:
            headers["Idempotency-Key"] = key
        response = self._http.post("/v1/images", content=body, headers=headers, params=wishes)
        response.raise_for_status()
        image: Image = response.json()
        return image

    def image(self, identity: str) -> Image:
        image: Image = self._http.get(f"/v1/images/{identity}").raise_for_status().json()
        return image

    def until_state(self, identity: str, *states: str) -> Image:
        """`states`: one of them will do."""
        return dict(until(lambda: self._in(identity, states), f"{identity} to be {' or '.join(states)}"))

    def _in(self, identity: str, states: tuple[str, ...]) -> Image | None:
        image = self.image(identity)
        return image if image["state"] in states else None

    def listed(self, **wanted: str) -> list[Image]:
        return list(self._http.get("/v1/images", params=wanted).raise_for_status().json()["items"])

    def letters(self) -> list[str]:
        """The keys of the dead letters."""
        return [one["key"] for one in self._http.get("/v1/deadletters").raise_for_status().json()["items"]]

    def awaited(self) -> list[str]:
        """An image of which there is a form alone; none where Mayfly had no forms yet."""
        response = self._http.post("/v1/uploads", json={"media_type": "image/png", "file_name": "later.png"})
        return [response.json()["id"]] if response.status_code == httpx.codes.CREATED else []

    def erase(self, identity: str) -> None:
        self._http.delete(f"/v1/images/{identity}").raise_for_status()

    def worker(self) -> int:
        def children() -> list[int]:
            found: list[int] = []
            for task in Path(f"/proc/{self._owner}/task").iterdir():
                with contextlib.suppress(OSError):
                    found += [int(child) for child in (task / "children").read_text().split()]
            return found

        return int(until(children, "a worker")[0])

    def held(self, body: bytes, **wishes: str) -> tuple[Image, int]:
        """An image in the hands of the only worker, which is stopped."""
        worker = self.worker()
        os.kill(worker, signal.SIGSTOP)
        image = self.upload(body, **wishes)
        self.until_state(image["id"], "processing")
        return image, worker

    def described(self, image: Image) -> Image:
        """An image as it stands, and the hashes of its pictures."""
        now = self.image(image["id"])
        renditions = [{**one, "sha256": self._hash(one["href"])} for one in now["renditions"]]
        return {**now, "renditions": renditions}

    def _hash(self, href: str) -> str:
        return hashlib.sha256(self._http.get(href).raise_for_status().content).hexdigest()


def fill(maker: Maker, data: Path) -> dict[str, Any]:
    """A few images of every kind; what is to be found of them."""
    jpeg = picture(320, 240, ".jpg")
    kept = [
        maker.upload(
            jpeg, "holiday.jpg", key=KEY, retain=WEEK, **{"label.site": "north", "label.customer": "A. Person"}
        ),
        maker.upload(picture(40, 30, ".png"), "small.png", retain=DAY),
        maker.upload(picture(200, 100, ".webp"), "wide.webp", retain=HOUR),
        maker.upload(picture(30, 60, ".gif"), "high.gif"),
        maker.upload(picture(64, 64, ".tif"), "square.tif"),
    ]
    images = [maker.described(maker.until_state(image["id"], "processed")) for image in kept]
    rejected = maker.upload(jpeg[: len(jpeg) // 2], "cut.jpg")
    images.append(maker.described(maker.until_state(rejected["id"], "rejected")))
    images += fill_from_a_stream(maker, data)
    erased = maker.upload(picture(20, 20, ".png"))
    maker.until_state(erased["id"], "processed")
    maker.erase(erased["id"])
    failed, worker = maker.held(picture(50, 50, ".jpg"))
    os.kill(worker, signal.SIGKILL)
    images.append(maker.described(maker.until_state(failed["id"], "failed")))
    maker.until_state(maker.upload(picture(21, 21, ".png"), retain=HOUR)["id"], "processed")
    in_hand, _ = maker.held(picture(60, 50, ".jpg"))
    waiting = maker.upload(picture(50, 60, ".png"))
    awaited = maker.awaited()
    return {
        "images": images,
        "unfinished": [maker.described(in_hand), maker.described(waiting)],
        "erased": [erased["id"]],
        "awaited": awaited,
        "letters": maker.letters(),
        "repeat": {"key": KEY, "id": kept[0]["id"]},
        "config": CONFIG,
    }


@contextlib.contextmanager
def door(data: Path) -> Iterator[StreamDoor]:
    """The second door of a running server, as a consumer has it, without a broker."""
    with contextlib.closing(OwnerLine(partial(short_path, data))) as line:
        line.open(PATIENCE_SECONDS)
        clock = OwnerClock(line)
        keys = OwnerKeys(line, clock)
        objects = LocalObjectStore(data / "objects", clock)
        vault = Vault(objects, keys, clock)
        intake = Intake(vault, objects, OwnerAdmissions(line), keys, clock, OwnerUnderWay(line, keys), untold)
        yield StreamDoor(intake, OwnerDeadLetters(line), line.terms, LocalClaimSource([]))


def fill_from_a_stream(maker: Maker, data: Path) -> list[Image]:
    """One record of each kind, as its image stands in the end. What is too large leaves its coordinates alone."""
    jpeg, birth = picture(90, 60, ".jpg"), Ms(time.time_ns() // 1_000_000)
    values = (jpeg, jpeg[: len(jpeg) // 2], b"no picture", bytes(LARGEST + 1))
    with door(data) as stream:
        for offset, value in enumerate(values):
            at = Coordinates(Partition("photos", 0), offset)
            outcome = stream.take(StreamRecord(at, 1, birth, (("ce_labelsite", b"south"),), value))
            assert isinstance(outcome, Kept) == (value[:2] == jpeg[:2]), outcome
    taken = maker.listed(source="kafka")
    ends = [maker.until_state(image["id"], "processed", "rejected") for image in taken]
    return [maker.described(image) for image in ends]


@contextlib.contextmanager
def server(python: Path, folder: Path) -> Iterator[Maker]:
    """A server on a movable clock, killed at the end."""
    (folder / "clock").write_text("+0")
    (folder / "mayfly.toml").write_text(CONFIG)
    command = [str(python), "-m", "mayfly", "up", "--port", "0", "--workers", "1"]
    for name, file in (("data", "data"), ("keys", "keys"), ("clock", "clock"), ("config", "mayfly.toml")):
        command += [f"--{name}", str(folder / file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
    try:
        assert process.stdout is not None
        maker = Maker(process.stdout.readline().strip(), process.pid)
        maker.wait_until_ready()
        yield maker
    finally:
        process.kill()
        process.communicate()


def keep(folder: Path, expected: dict[str, Any], out: Path) -> None:
    """Everything in a tar, without the names and the times of who made it."""

    def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry

    with tarfile.open(out, "w:xz", preset=9) as tar:
        for name in ("data", "keys"):
            tar.add(folder / name, name, filter=anonymous)
        text = json.dumps(expected, indent=1).encode()
        entry = tarfile.TarInfo("expected.json")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a fixture of data and keys.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--commit")
    wanted = parser.parse_args()
    head = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = wanted.commit or subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="mayfly-fixture-") as place:
        folder = Path(place)
        with server(wanted.python.absolute(), folder) as maker:
            expected = fill(maker, folder / "data")
        made = {"commit": commit, "clock_ms": time.time_ns() // 1_000_000}
        keep(folder, {**made, **expected}, wanted.out)
    print(f"{wanted.out}: {wanted.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
