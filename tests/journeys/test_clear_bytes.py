"""No clear byte of an image touches a disk: every file that any process writes to is known, and none of them
ever holds a stretch of an original, of what a camera told in it, of a rendition, or of decoded pixels.

`PHOTOS=folder` sends the photos of that folder as well."""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from mayfly.demo import samples
from support.camera import Photo, camera_heic, camera_jpeg, scene
from support.processes import descendants
from support.server import PATIENCE_SECONDS, MakeServer, Server
from support.tracing import require_strace

STRETCH_BYTES = 24
STRETCHES = 64
WORD_BYTES = 8
PAGE_BYTES = 4096
MOST_PHOTOS = 100
"""Of a folder that PHOTOS names, in the order of their names."""

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
OBJECT = re.compile(r"/data/objects/")
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


def noisy() -> list[Photo]:
    pictures = [photo_like(800, 600, seed) for seed in range(4)]
    return [
        Photo("noise.jpg", pictures[0].jpegsave_buffer(Q=90)),
        Photo("noise.png", pictures[1].pngsave_buffer()),
        Photo("noise.tif", pictures[2].tiffsave_buffer()),
        Photo("noise.webp", pictures[3].webpsave_buffer(lossless=True)),
    ]


def from_cameras() -> list[Photo]:
    pixels = scene(seed=1)
    return [camera_jpeg(pixels, 1, 1), camera_jpeg(pixels, 6, 2), camera_heic(pixels)]


def from_a_folder() -> list[Photo]:
    """Real photos, where PHOTOS names a folder of them, as for `make demo`."""
    if not (folder := os.environ.get("PHOTOS")):
        return []
    found, notes = samples.from_folder(Path(folder))
    print(f"{folder}: {len(found[:MOST_PHOTOS])} of {len(found)} photos; {'; '.join(notes)}")
    assert found, f"PHOTOS names {folder}, which holds none"
    return [Photo(sample.name, sample.body) for sample in found[:MOST_PHOTOS]]


def decoded(body: bytes) -> Iterator[bytes]:
    """The pixels as a decoder has them in memory: all, and those of a JPEG shrunk as it is read."""
    import pi_heif
    import pyvips

    if samples.media_type_of(body) == "image/heic":
        picture = pi_heif.open_heif(body)[0]  # it owns the memory that its data is in
        yield bytes(picture.data)
        return
    for how in [{"shrink": factor} for factor in (1, 2, 4, 8)] if body.startswith(b"\xff\xd8") else [{}]:
        yield pyvips.Image.new_from_buffer(body, "", **how).write_to_memory()


class Clear:
    """Stretches of clear bytes. Wherever one of them stands, two aligned words of it do: these are looked for first,
    at a speed at which gigabytes can be searched for a hundred thousand stretches."""

    def __init__(self) -> None:
        self._by_word: dict[int, list[bytes]] = {}
        self.count = 0

    def add(self, data: bytes) -> None:
        """Some of it, from all over it, without those that could stand anywhere."""
        step = max(1, (len(data) - STRETCH_BYTES) // STRETCHES)
        for start in range(0, len(data) - STRETCH_BYTES + 1, step):
            stretch = data[start : start + STRETCH_BYTES]
            if len(set(stretch)) > STRETCH_BYTES // 2:
                self.count += 1
                for at in range(STRETCH_BYTES - WORD_BYTES + 1):
                    word = int.from_bytes(stretch[at : at + WORD_BYTES], sys.byteorder)
                    self._by_word.setdefault(word, []).append(stretch)

    def stands_in(self, data: bytes) -> bool:
        words = memoryview(data)[: len(data) // WORD_BYTES * WORD_BYTES].cast("Q")
        if self._by_word.keys().isdisjoint(words):
            return False
        hit = {stretch for word in words for stretch in self._by_word.get(word, ())}
        return any(stretch in data for stretch in hit)


@dataclass
class Watch:
    """Reads, again and again, every file that the server's processes hold open and every file of its folders; keeps
    each page it ever saw of them, with the beginning of the next."""

    server: Server
    seen: dict[str, set[bytes]] = field(default_factory=dict)
    _whole: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._whole.clear()
        self.look()

    def _run(self) -> None:
        while not self._done.wait(0.05):
            self.look()

    def look(self) -> None:
        for path in self._files():
            # A file may go while it is read.
            with contextlib.suppress(OSError):
                name, status = os.readlink(path) if path.is_symlink() else str(path), path.stat()
                known = (status.st_ino, status.st_size, status.st_mtime_ns)
                # An object is written once; all else may be written where it was before, within a tick of the clock.
                if OBJECT.search(name) and self._whole.get(name) == known:
                    continue
                data = path.read_bytes()
                pages = self.seen.setdefault(name, set())
                pages.update(data[at : at + PAGE_BYTES + STRETCH_BYTES - 1] for at in range(0, len(data), PAGE_BYTES))
                self._whole[name] = known

    def _files(self) -> Iterator[Path]:
        yield from self.server.files()
        for pid in (self.server.pid, *descendants(self.server.pid)):
            with contextlib.suppress(OSError):
                for entry in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        target = os.readlink(entry)
                        if entry.is_file() and not NO_DISK.match(target) and not SCRATCH.fullmatch(target):
                            yield entry

    def holding(self, clear: Clear) -> set[str]:
        return {name for name, pages in self.seen.items() if any(clear.stands_in(page) for page in pages)}


def send(server: Server, photo: Photo, number: int) -> str:
    """Through one door after the other: raw, in a browser's form, by a form for one upload. The image's id."""
    if number % 3 == 2:
        media_type = samples.media_type_of(photo.body)
        form = server.post("/v1/uploads", json={"media_type": media_type, "file_name": photo.name}).json()
        files = {"file": (photo.name, photo.body)}
        answer = httpx.post(form["url"], data=form["fields"], files=files, timeout=PATIENCE_SECONDS, trust_env=False)
        assert answer.status_code == 204, answer.text
        return str(form["id"])
    body: dict[str, Any] = {"files": {"file": (photo.name, photo.body)}} if number % 3 else {"content": photo.body}
    answer = server.post("/v1/images", **body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


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
    photos = [*noisy(), *from_cameras(), *from_a_folder()]
    clear = Clear()
    with Watch(server) as watch:
        for number, photo in enumerate(photos):
            image = server.until_state(send(server, photo, number), "processed")
            for made in (photo.body, *photo.told, *decoded(photo.body)):
                clear.add(made)
            assert len(image["renditions"]) == 2
            for rendition in image["renditions"]:
                body = server.get(rendition["href"]).content
                for made in (body, *decoded(body)):
                    clear.add(made)
            assert server.get(f"/v1/images/{image['id']}/original").content == photo.body
    assert clear.count > STRETCHES * len(photos)
    assert watch.holding(clear) == set()
    print(f"{len(photos)} photos, {clear.count} stretches, {sum(map(len, watch.seen.values()))} pages of files")
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


def test_the_watch_would_see_one(traced: tuple[Server, Path]) -> None:
    server, trace = traced
    photo = camera_jpeg(photo_like(400, 300, 1), 1, 1)
    texts = {"clear.jpg": photo.body, "note": b"odd" + photo.told[0][1_000:2_000], "pixels": next(decoded(photo.body))}
    clear = Clear()
    for text in (photo.body, photo.told[0], texts["pixels"]):
        clear.add(text)
    with Watch(server) as watch:
        for name, text in texts.items():
            (server.data / name).write_bytes(text)
    assert watch.holding(clear) == {str(server.data / name) for name in texts}
    assert any(path.endswith("mayfly.db") for path in written_to(trace))
    assert not OURS.fullmatch("data/clear.jpg")
