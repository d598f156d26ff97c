"""No clear byte of an image touches a disk: every file that any process writes to is known, and none of them
ever holds a stretch of an original, of a rendition, or of decoded pixels."""

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.server import MakeServer, Server
from support.tracing import require_strace

STRETCH_BYTES = 24
STRETCHES = 64

# -y writes the path behind a descriptor: what was written to is what it says, wherever links led.
CALLS = "write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,splice,mmap"
WRITTEN = re.compile(
    r"\b(?:p?writev?2?|pwrite64|sendfile)\(\d+<([^>]*)>"
    r"|\b(?:copy_file_range|splice)\(\d+<[^>]*>, [^,]*, \d+<([^>]*)>"
    r"|\bmmap\([^,]*, \d+, [^,]*PROT_WRITE[^,]*, [^,]*MAP_SHARED[^,]*, \d+<([^>]*)>"
)
NO_DISK = re.compile(
    r"/dev/null|/memfd:|/proc/\d+/(?:uid_map|gid_map|setgroups)$|\w+:\[|anon_inode:|socket:|pipe:|UNIX|TCP"
)
OURS = re.compile(
    r"data/(owner\.(lock|sock)|mayfly\.(json|part|db|db-wal|db-shm|db-journal)|reserve|clock\.tick(\.part)?"
    r"|objects/\w+/[0-9a-f-]{36}\.(original|rendition)\.[a-z]+(\.[0-9a-f]+)?(\.part)?)"
    r"|keys/(\S+)|log\.jsonl|clock"
)
"""What the owner writes, within the server's folder. All of it is looked into as well."""
SCRATCH = re.compile(r"/scratch/(image|\.?facts[.a-z]*)")
"""The memory file system of a step of the user's own, which is nowhere but in that step's namespace."""
STEP = """#!/bin/sh
cat > "$MAYFLY_SCRATCH/image" && cat "$MAYFLY_SCRATCH/image"
"""
RENDITIONS = """
[renditions.preview]
steps = ["orient", {resize = {width = 512, height = 512}}, {encode = {format = "jpeg"}}]

[renditions.own]
steps = [{resize = {width = 256, height = 256}}, {run = ["./step"]}, {encode = {format = "png"}}]
"""


def photo_like(width: int, height: int, seed: int) -> Any:
    """Noise over a ramp: no two stretches of its pixels are alike, encoded or not."""
    import pyvips

    noise = pyvips.Image.gaussnoise(width, height, mean=128, sigma=40, seed=seed)
    ramp = pyvips.Image.xyz(width, height)
    bands = noise.bandjoin([ramp[0] * 255 / width, noise.rot180()])
    return bands.cast("uchar").copy(interpretation="srgb")


def stretches(data: bytes) -> set[bytes]:
    """Some of it, from all over it, without those that could stand anywhere."""
    step = max(1, (len(data) - STRETCH_BYTES) // STRETCHES)
    found = {data[start : start + STRETCH_BYTES] for start in range(0, len(data) - STRETCH_BYTES, step)}
    return {stretch for stretch in found if len(set(stretch)) > STRETCH_BYTES // 2}


@dataclass
class Watch:
    """Reads, again and again, every file that the server's processes hold open and every file of its folders."""

    server: Server
    seen: dict[str, bytes] = field(default_factory=dict)
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.look()

    def _run(self) -> None:
        while not self._done.wait(0.05):
            self.look()

    def look(self) -> None:
        for path in self._files():
            # A file may go while it is read.
            with contextlib.suppress(OSError):
                data = path.read_bytes()
                name = os.readlink(path) if path.is_symlink() else str(path)
                if data not in (known := self.seen.get(name, b"")):
                    self.seen[name] = known + data

    def _files(self) -> Iterator[Path]:
        yield from self.server.files()
        for pid in (self.server.pid, *self.server.children()):
            with contextlib.suppress(OSError):
                for entry in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        target = os.readlink(entry)
                        if entry.is_file() and not NO_DISK.match(target):
                            yield entry

    def holding(self, wanted: set[bytes]) -> set[str]:
        return {name for name, data in self.seen.items() if any(stretch in data for stretch in wanted)}


@pytest.fixture
def traced(make_server: MakeServer, tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    require_strace("that no clear byte touches a disk")
    trace = tmp_path / "trace"
    wrapper = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-y", "-s", "0", "-o", str(trace), "-e", f"trace={CALLS}")
    server = make_server(options=("--workers", "2"), wrapper=wrapper, config=RENDITIONS)
    step = server.folder / "step"
    step.write_text(STEP, encoding="utf-8")
    step.chmod(0o755)
    server.start()
    yield server, trace
    server.stop()


def written_to(trace: Path) -> set[str]:
    """Every path that was written to, or mapped to be."""
    found = WRITTEN.findall(trace.read_text(encoding="utf-8", errors="replace"))
    return {path for paths in found for path in paths if path}


def test_no_clear_byte_of_an_image_touches_a_disk(traced: tuple[Server, Path]) -> None:
    server, trace = traced
    pictures = [photo_like(800, 600, seed) for seed in range(4)]
    pixels = pictures[2].write_to_memory()
    bodies = [
        pictures[0].jpegsave_buffer(Q=90),
        pictures[1].pngsave_buffer(),
        pictures[2].tiffsave_buffer(),
        pictures[3].webpsave_buffer(lossless=True),
    ]
    clear = stretches(pixels)
    with Watch(server) as watch:
        for number, body in enumerate(bodies):
            form = {"files": {"file": (f"picture-{number}.bin", body)}} if number % 2 else {"content": body}
            response = server.post("/v1/images", **form)
            assert response.status_code == 201, response.text
            image = server.until_state(response.json()["id"], "processed")
            clear |= stretches(body)
            for rendition in image["renditions"]:
                clear |= stretches(server.get(rendition["href"]).content)
            assert server.get(f"/v1/images/{image['id']}/original").content == body
    assert len(clear) > 10 * STRETCHES
    assert watch.holding(clear) == set()
    root = f"{server.folder}/"
    written = written_to(trace)
    assert "/scratch/image" in written, "the trace follows a step into its namespace"
    strange = {
        path
        for path in written
        if not (NO_DISK.match(path) or SCRATCH.fullmatch(path))
        and not (path.startswith(root) and OURS.fullmatch(path.removeprefix(root)))
    }
    assert strange == set()


def test_the_watch_would_see_one(traced: tuple[Server, Path], tmp_path: Path) -> None:
    server, trace = traced
    body = photo_like(400, 300, 1).jpegsave_buffer(Q=90)
    with Watch(server) as watch:
        (server.data / "clear.jpg").write_bytes(body)
    assert watch.holding(stretches(body)) == {str(server.data / "clear.jpg")}
    assert any(path.endswith("mayfly.db") for path in written_to(trace))
    assert not OURS.fullmatch("data/clear.jpg")
