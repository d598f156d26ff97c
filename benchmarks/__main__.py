"""`python -m benchmarks [name ...]`. Exit codes: 0 every bound holds, 1 one is missed, 2 no such benchmark."""

import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import backlog, help, kafka, memory, photo, start, upload  # noqa: A004 - named after what it measures
from benchmarks.figures import Figure, table
from benchmarks.photos import Photos
from benchmarks.server import scratch

BENCHMARKS: dict[str, Callable[[Photos, Path], list[Figure]]] = {
    "upload": upload.run,
    "photo": photo.run,
    "memory": memory.run,
    "backlog": backlog.run,
    "kafka": kafka.run,
    "help": help.run,
    "start": start.run,
}


def main(names: list[str]) -> int:
    if sys.platform != "linux":
        print("The benchmarks read /proc and need Linux.", file=sys.stderr)
        return 2
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} (idle is best)")
    photos = Photos()
    held = True
    for name in names or BENCHMARKS:
        begun = time.monotonic()
        with scratch() as folder:
            figures = BENCHMARKS[name](photos, folder)
        print(f"\n{name} ({time.monotonic() - begun:.0f} s)\n{table(figures)}", flush=True)
        held = held and all(figure.held for figure in figures)
    print("\nEvery bound holds." if held else "\nA bound is missed: see above.")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
