"""How soon a second start answers, is ready, and has its first picture processed.

The yardstick is what Python takes to import the web framework and libvips: a server cannot start in less.
"""

import time
from pathlib import Path

from benchmarks.client import Client
from benchmarks.figures import Figure, median
from benchmarks.photos import Photos
from benchmarks.programs import python_ms
from benchmarks.server import Server

_ROUNDS = 7
_MOST_START_S = 3.0
_MOST_PICTURE_S = 5.0
_IMPORTS = "import fastapi, uvicorn, pyvips"


def run(photos: Photos, folder: Path) -> list[Figure]:
    with Server(folder / "server"):
        pass  # the first start, which makes the folders and a week of keys
    lines, readies, pictures, imports = [], [], [], []
    for _ in range(_ROUNDS):
        imports.append(python_ms("-c", _IMPORTS) / 1_000)
        begun = time.perf_counter()
        with Server(folder / "server") as server, Client(server.url) as client:
            client.upload(photos.photo)
            server.until_processed(1)
            pictures.append(time.perf_counter() - begun)
        lines.append(server.first_line_ms / 1_000)
        readies.append(server.ready_ms / 1_000)
    yardstick, against = f'python -c "{_IMPORTS}"', median(imports)
    return [
        Figure("second start to its first line", median(lines), "s", yardstick, against, most=_MOST_START_S),
        Figure("second start to /readyz", median(readies), "s", yardstick, against, most=_MOST_START_S),
        Figure("second start to a photo processed", median(pictures), "s", yardstick, against, most=_MOST_PICTURE_S),
    ]
