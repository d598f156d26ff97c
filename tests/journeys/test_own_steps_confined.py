"""Programs and functions of the user's own in a real server: the examples, and programs that do all they must not."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import pyvips

from support.pages import blocks, python_of
from support.processes import descendants
from support.server import MakeServer, until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "steps"
HOWTO = Path(__file__).resolve().parents[2] / "docs/howto/own-steps.md"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine a program")

DEEDS = {
    51: ("while true; do :; done", "step-overdue"),
    52: ("trap '' PIPE; while true; do cat /dev/zero; done", "step-output-too-large"),
    53: ("f() {{ f | f & }}; f; sleep 60", "step-overdue"),
    54: ("for place in {places}; do echo x > $place/evil && exec cat picture; done; exit 1", "step-failed"),
    55: ("kill -SEGV $$", "step-crashed"),
    56: ("cat {secrets} && exec cat picture; exit 1", "step-failed"),
    57: ("sleep 60 & exec cat picture", None),
}
"""What a program does when it is given a picture of so many pixels' width, and what becomes of that image."""


def picture(width: int) -> bytes:
    image = pyvips.Image.black(width, 40).bandjoin([200, 30]).copy(interpretation="srgb")
    data: bytes = image.pngsave_buffer()
    return data


def test_a_program_out_of_bounds_costs_one_attempt_and_leaves_nothing(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(options=("--workers", "1"))
    places = [server.data, server.folder, tmp_path, Path.home(), Path("/tmp"), Path("/dev/shm")]
    where = {"places": " ".join(map(str, places)), "secrets": f"{server.data}/mayfly.json"}
    cases = "".join(f"{width}) {deed.format(**where)};;\n" for width, (deed, _) in DEEDS.items())
    program = server.folder / "deeds"
    width = "$(head -c 20 picture | tail -c 1 | od -An -tu1)"
    program.write_text(f"#!/bin/sh\ncat > picture\nset -- {width}\ncase $1 in\n{cases}esac\n")
    program.chmod(0o755)
    steps = '[{run = ["./deeds"], read = ["."], timeout = 2}, {encode = {format = "webp"}}]'
    server.config = f"attempts = 1\n[renditions.mine]\nsteps = {steps}\n"
    server.folder.chmod(0o755)
    server.start()
    ids = {width: server.upload(picture(width))["id"] for width in DEEDS}
    ends = {width: server.until_state(identity, "processed", "failed") for width, identity in ids.items()}
    assert {width: image["reason"] for width, image in ends.items()} == {
        width: reason for width, (_, reason) in DEEDS.items()
    }
    assert {image["attempts"] for image in ends.values()} == {1}
    assert not any((place / "evil").exists() for place in places)
    pid = server.pid
    # The worker, and a host and its first process: whatever the programs started is gone.
    until(lambda: len(descendants(pid)) <= 3, "no process of a program")
    assert server.stop() == 0
    assert descendants(pid) == []


@pytest.fixture
def negatives() -> Iterator[str]:
    command = [sys.executable, str(EXAMPLES / "sidecar.py"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


def test_the_examples_run_as_they_stand(make_server: MakeServer, small: bytes, negatives: str) -> None:
    server = make_server(options=("--workers", "1"))
    server.config = (EXAMPLES / "mayfly.toml").read_text().replace("http://127.0.0.1:9000/negative", negatives)
    for name in ("tint.py", "wide-enough"):
        (server.folder / name).write_bytes((EXAMPLES / name).read_bytes())
        (server.folder / name).chmod(0o755)
    server.start()
    image = server.until_state(server.upload(small)["id"], "processed", "failed", "rejected")
    assert image["state"] == "processed", image["reason"]
    made = {one["name"]: (one["media_type"], one["width"]) for one in image["renditions"]}
    assert made == {"tinted": ("image/webp", 64), "checked": ("image/jpeg", 64), "negative": ("image/png", 64)}
    assert set(image["facts"]["steps"]) == {"tinted", "negative"}
    assert image["personal_facts"] == {"checked": {"width": 64}}
    narrow = server.until_state(server.upload(picture(8))["id"], "rejected")
    assert narrow["reason"] == "step-rejected"


def test_the_function_of_the_how_to_runs_as_it_stands(make_server: MakeServer, small: bytes) -> None:
    settings = next(text for place, text in blocks("toml") if place == "docs/howto/own-steps.md:1")
    server = make_server(options=("--workers", "1"), config=settings)
    (server.folder / "steps").mkdir()
    (server.folder / "steps" / "tint.py").write_text(python_of(HOWTO), encoding="utf-8")
    server.start()
    image = server.until_state(server.upload(small)["id"], "processed")
    assert [(one["name"], one["media_type"]) for one in image["renditions"]] == [("tinted", "image/webp")]
    assert image["facts"]["steps"]["tinted"]["bytes_seen"] > 0
