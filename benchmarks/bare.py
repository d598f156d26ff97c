"""Yardsticks: the least that the disk and libvips can do.

Run as a program it is the bare recipe: reads lines `TIMES LEAST FILE` and answers each with the CPU it took, in ms.
"""

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_SIDES = ((2048, "jpeg"), (1024, "jpeg"), (256, "webp"))
_SHRINKS = (8, 4, 2)
_QUALITY = 80
_WEBP_EFFORT = 4


def durable_write(folder: Path, body: bytes) -> float:
    """Write, fsync, rename, fsync the folder: what has to be waited for before anybody may be told "stored". In ms."""
    begun = time.perf_counter()
    part, final = folder / f"{secrets.token_hex(8)}.part", folder / secrets.token_hex(8)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(descriptor, body)
    os.fsync(descriptor)
    os.close(descriptor)
    part.rename(final)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return (time.perf_counter() - begun) * 1_000


class BareRecipe:
    """One decode with shrink-on-load, each rendition from the one before, nothing else: no bounds, no facts, no cage,
    no sealing, no storing. In a process of its own with one thread and a warm libvips, as a worker is."""

    def __enter__(self) -> Self:
        environment = {"VIPS_CONCURRENCY": "1", "MALLOC_ARENA_MAX": "1", "PATH": os.environ.get("PATH", "")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bare"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parent.parent,
        )
        return self

    def cpu_ms(self, photo: Path, times: int, least: float) -> float:
        """`least`: how much of the largest rendition's size the decoder must leave; below 1 it may come out smaller."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{times} {least} {photo}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


def renditions(pyvips: Any, body: bytes, least: float) -> list[bytes]:
    header = pyvips.Image.new_from_buffer(body, "", access="sequential", fail_on="error")
    longest = max(header.width, header.height)
    shrink = next((factor for factor in _SHRINKS if longest / factor >= _SIDES[0][0] * least), 1)
    image = pyvips.Image.jpegload_buffer(body, shrink=shrink, access="sequential", fail_on="error")
    made = []
    for side, suffix in _SIDES:
        image = image.thumbnail_image(side, height=side, size="down").copy_memory()
        if suffix == "jpeg":
            made.append(image.jpegsave_buffer(Q=_QUALITY, keep="none"))
        else:
            made.append(image.webpsave_buffer(Q=_QUALITY, effort=_WEBP_EFFORT, keep="none"))
    return made


def _main() -> None:
    import pyvips

    pyvips.cache_set_max(0)
    for line in sys.stdin:
        times, least, path = line.strip().split(" ", 2)
        body = Path(path).read_bytes()
        begun = time.process_time()
        for _ in range(int(times)):
            renditions(pyvips, body, float(least))
        print((time.process_time() - begun) * 1_000, flush=True)


if __name__ == "__main__":
    _main()
