"""Servers and pictures for the journeys."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.server import MakeServer, Server
from support.small_disk import SmallDisk, small_disk


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Makes servers that are not started yet; `movable=True` gives one a clock file."""
    made: list[Server] = []

    def make(name: str = "server", *, movable: bool = False, **how: Any) -> Server:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        server = Server(folder, clock=folder / "clock" if movable else None, **how)
        made.append(server)
        return server

    yield make
    for server in made:
        server.close()


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    """One that is ready."""
    return make_server(options=("--workers", "1")).start()


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A picture of 1,600 x 1,200 with noise, so that its bytes are as many as a photo's."""
    import pyvips

    noise = pyvips.Image.gaussnoise(1_600, 1_200, mean=128, sigma=30)
    ramp = pyvips.Image.xyz(1_600, 1_200)
    picture = noise.bandjoin([ramp[0] * 255 / 1_600, ramp[1] * 255 / 1_200]).cast("uchar").copy(interpretation="srgb")
    buffer: bytes = picture.jpegsave_buffer(Q=90)
    return buffer


@pytest.fixture(scope="session")
def small() -> bytes:
    """A JPEG of a few hundred bytes' work."""
    import pyvips

    picture = (pyvips.Image.xyz(64, 48)[0] * 4).bandjoin([128, 200]).cast("uchar").copy(interpretation="srgb")
    buffer: bytes = picture.jpegsave_buffer(Q=80)
    return buffer


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    found = small_disk(tmp_path / "server")
    if found is None:
        told = "no tmpfs can be mounted here: nothing shows here what happens on a full disk"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    yield found
    # Its input ends, so it does, and the disk with it.
    found.holder.communicate()


LABELS = """
[labels]
site = "fact"
customer = "personal"
"""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for a whole module, with a label of each kind declared. Tests leave it as quiet as they found it."""
    server = Server(tmp_path_factory.mktemp("door"), options=("--workers", "1"), config=LABELS)
    try:
        yield server.start()
    finally:
        server.close()
