"""The demonstration against the real program: 0 when all is true, 1 and a name for each thing that is not."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
import pyvips
from rich.console import Console

from mayfly.demo import story
from mayfly.demo.samples import CAMERA
from mayfly.demo.stage import Stage
from mayfly.demo.visitor import Visit

Plant = Callable[[Stage], None]


def test_the_demonstration_finds_everything_true_and_leaves_nothing(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "mayfly", "demo", "--fast"],
        env={name: value for name, value in os.environ.items() if name != "PHOTOS"} | {"TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "All true" in run.stdout
    assert list(tmp_path.glob("mayfly-demo-*")) == []


def change_preview(visit: Visit, change: Callable[[pyvips.Image], pyvips.Image]) -> None:
    preview = visit.renditions["preview"]
    content = bytes(change(pyvips.Image.new_from_buffer(preview.content, "")).write_to_buffer(".jpg"))
    visit.renditions["preview"] = replace(preview, content=content)


def leave_exif(stage: Stage) -> None:
    def mark(image: pyvips.Image) -> pyvips.Image:
        marked = image.copy()
        marked.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Make", CAMERA)
        return marked

    change_preview(stage.visits[0], mark)


def turn_wrongly(stage: Stage) -> None:
    change_preview(stage.visits[1], lambda image: image.rot180())


def serve_another_original(stage: Stage) -> None:
    original = stage.visits[0].original
    assert original is not None
    stage.visits[0].original = replace(original, content=original.content + b"!")


def unseal_the_copy(stage: Stage) -> None:
    victim = stage.visits[-1]
    next(stage.copy.rglob(f"{victim.id}.rendition.large")).write_bytes(victim.sample.body)


def keep_a_file(stage: Stage) -> None:
    kept = next(stage.copy.rglob(f"{stage.visits[0].id}.original.original"))
    place = stage.data / kept.relative_to(stage.copy)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(kept.read_bytes())


def keep_a_row(stage: Stage) -> None:
    with closing(sqlite3.connect(stage.data / "mayfly.db", timeout=10)) as database, database:
        database.execute("CREATE TABLE kept (id BLOB)")
        database.execute("INSERT INTO kept VALUES (?)", (UUID(stage.visits[1].id).bytes,))


def keep_a_key(stage: Stage) -> None:
    (stage.keys / "kept").write_bytes(next(iter(stage.keys_before.values())))


def answer_after_death(stage: Stage) -> None:
    stage.visits[2].answer["renditions"][0]["href"] = "/healthz"


PLANTS: dict[str, tuple[Plant, ...]] = {
    "fetched": (leave_exif, turn_wrongly, serve_another_original),
    "copied": (unseal_the_copy,),
    "swept": (keep_a_file, keep_a_row, keep_a_key, answer_after_death),
}

NAMED: dict[Plant, str] = {
    leave_exif: r"preview carries metadata: exif",
    turn_wrongly: r"preview is turned wrongly",
    serve_another_original: r"original served is not the one sent",
    unseal_the_copy: r"rendition\.large is not sealed",
    keep_a_file: r"the file .*original\.original is still there",
    keep_a_row: r"a row of kept in mayfly\.db still names it",
    keep_a_key: r"the key of minute \d+ is still in kept",
    answer_after_death: r"/healthz answers 200, not 410",
}


def told(between: story.Between) -> tuple[int, str]:
    """The exit code of the story with this planted, and what it printed."""
    with redirect_stdout(StringIO()) as printed:
        code = story.tell(None, keep=False, fast=True, between=between)
    return code, printed.getvalue()


@pytest.fixture(scope="module")
def told_with_every_fault() -> tuple[int, str]:
    """One run with all faults planted, since a run takes its time."""

    def plant(moment: str, stage: Stage) -> None:
        for fault in PLANTS[moment]:
            fault(stage)

    return told(plant)


@pytest.mark.parametrize("planted", NAMED, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_named_and_ends_with_1(planted: Plant, told_with_every_fault: tuple[int, str]) -> None:
    code, printed = told_with_every_fault
    assert code == 1
    assert re.search(f"NOT TRUE: .*{NAMED[planted]}", printed), printed


def test_a_single_fault_is_enough_to_end_with_1(tmp_path: Path) -> None:
    quiet = Console(file=StringIO())
    assert story.verdict(quiet, Stage(tmp_path), took_s=1) == 0
    assert story.verdict(quiet, Stage(tmp_path, faults=["one"]), took_s=1) == 1


def test_a_folder_without_a_picture_is_said_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing to see")
    assert story.run(tmp_path, keep=False, fast=True) == 1
