"""The demonstration: seven days of a Mayfly in about a minute, told as it happens and checked from the outside."""

import shutil
import tempfile
import time
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

import httpx
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mayfly.demo import checker, samples
from mayfly.demo.samples import Sample
from mayfly.demo.server import DemoBroken
from mayfly.demo.stage import Stage, copy_folder, set_clock
from mayfly.demo.visitor import Visit, Visitor

SEVEN_DAYS_S = 7 * 24 * 3600
_MINUTE_OVER_S = 120
"""Added to the seven days: the key of a minute dies once the minute has ended, and within 60 s of that."""
_PROCESSED_WITHIN_S = 120
_GONE_WITHIN_S = 90
_LOOKS_EVERY_S = 0.5
_PLAIN_WIDTH = 120
"""Columns where the output is no terminal."""

Between = Callable[[str, Stage], None]
"""Called when something was done and before it is checked: `fetched`, `copied`, `swept`. Tests plant faults here."""


def run(photos: Path | None, keep: bool, fast: bool) -> int:
    """Tell the story; 0 if everything it claims was true, 1 otherwise.

    `photos` is a folder of pictures to use instead of the painted ones, `keep` leaves the folders behind, `fast` paints
    fewer and smaller pictures.
    """
    return tell(photos, keep, fast, between=lambda _moment, _stage: None)


def tell(photos: Path | None, keep: bool, fast: bool, between: Between) -> int:
    console = Console()
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    began = time.monotonic()
    stage = Stage(Path(tempfile.mkdtemp(prefix="mayfly-demo-")))
    try:
        _live(console, stage, _gather(console, photos, fast), between)
        _copy_and_open(console, stage, between)
        _die(console, stage, between)
        _haunt(console, stage)
    except (DemoBroken, httpx.HTTPError) as error:
        stage.faults.append(str(error) or type(error).__name__)
    finally:
        if keep:
            console.print(f"Kept: {stage.folder}", markup=False, soft_wrap=True)
        else:
            shutil.rmtree(stage.folder)
    return verdict(console, stage, time.monotonic() - began)


def _gather(console: Console, photos: Path | None, fast: bool) -> list[Sample]:
    if photos is None:
        return list(track(samples.painted(fast), "Painting pictures", total=samples.count(fast), console=console))
    if not photos.is_dir():
        raise DemoBroken(f"{photos} is no folder: pass one that holds pictures")
    found, notes = samples.from_folder(photos)
    for note in notes:
        console.print(f"  {note}", style="dim", markup=False)
    if not found:
        raise DemoBroken(f"{photos} holds no picture Mayfly takes")
    return found


def _live(console: Console, stage: Stage, pictures: list[Sample], between: Between) -> None:
    """Upload, process, fetch, check."""
    set_clock(stage.clock, 0)
    _say(console, "Starting Mayfly on empty folders")
    with stage.serving() as visitor:
        _upload(console, stage, visitor, pictures)
        for visit in stage.visits:
            visitor.fetch(visit)
    _show(console, stage.visits)
    between("fetched", stage)
    for visit in track(stage.visits, "Checking what was served", console=console):
        stage.faults += _faults_of_served(visit)
    stage.remember_keys()


def _upload(console: Console, stage: Stage, visitor: Visitor, pictures: list[Sample]) -> None:
    for picture in track(pictures, "Uploading over HTTP", console=console):
        stage.visits.append(visitor.upload(picture))
    deadline = time.monotonic() + _PROCESSED_WITHIN_S
    for visit in track(stage.visits, "Waiting for the workers", console=console):
        visitor.settle(visit, deadline)


def _faults_of_served(visit: Visit) -> list[str]:
    name, sent, answer = visit.sample.name, visit.sample.body, visit.answer
    if answer["state"] != "processed":
        return [f"{name}: is {answer['state']} ({answer['reason']}), not processed"]
    original = visit.original.content if visit.original else b""
    said = {rendition["name"]: rendition for rendition in answer["renditions"]}
    fetched = {key: checker.Fetched(said[key], body.media_type, body.content) for key, body in visit.renditions.items()}
    return [
        *checker.original_faults(name, sent, original, answer["sha256"]),
        *checker.rendition_faults(name, sent, visit.sample.media_type, fetched),
    ]


def _copy_and_open(console: Console, stage: Stage, between: Between) -> None:
    """The copy is what a thief or a backup has at best, taken while nothing moves. With the living keys it opens."""
    _say(console, "Copying the whole data folder, and opening the copy with the keys that live now")
    copy_folder(stage.data, stage.copy)
    between("copied", stage)
    with stage.serving_copy(stage.keys, stage.clock) as visitor:
        for visit in stage.visits:
            served = visitor.body(f"/v1/images/{visit.id}/original").content
            if served != visit.sample.body:
                stage.faults.append(
                    f"{visit.sample.name}: the copy does not open with the living keys: it proves nothing"
                )
    for visit in stage.visits:
        stage.faults += checker.sealed_faults(stage.copy, visit.id, visit.sample.name, visit.sample.body)


def _die(console: Console, stage: Stage, between: Between) -> None:
    """Move the clock past seven days under a running server, and see everything go."""
    with stage.serving() as visitor:
        _say(console, "Moving the clock seven days (and two minutes, so that their last minute is over)")
        set_clock(stage.clock, SEVEN_DAYS_S + _MINUTE_OVER_S)
        visitor.sweep()
        _await_nothing(console, stage)
        between("swept", stage)
        for visit in stage.visits:
            stage.faults += checker.living_faults(visitor.statuses(visit.paths))
        stage.faults += checker.listed_faults((visit.id for visit in stage.visits), visitor.listed())
        stage.faults += stage.leftovers()
    # Once more at rest: what was in memory or in a write-ahead log has reached its file by now.
    stage.faults += [fault for fault in stage.leftovers() if fault not in stage.faults]


def _await_nothing(console: Console, stage: Stage) -> None:
    """Return once nothing is left, or too late; what is left then is found by the checks that follow."""
    began = time.monotonic()
    with console.status("Waiting for the sweep"):
        while stage.leftovers():
            if time.monotonic() > began + _GONE_WITHIN_S:
                _say(console, f"Something is left after {_GONE_WITHIN_S} s")
                return
            time.sleep(_LOOKS_EVERY_S)
    _say(console, f"Swept within {time.monotonic() - began:.1f} s: no file, no row, no key is left")


def _haunt(console: Console, stage: Stage) -> None:
    """The copy still holds every sealed byte. With the keys of now nobody opens it, whatever the clock says."""
    turned_back = stage.folder / "clock-turned-back"
    set_clock(turned_back, 0)
    for clock, when in ((stage.clock, "with the clock of now"), (turned_back, "with the clock turned back seven days")):
        _say(console, f"Opening the copy with the keys of now, {when}")
        with stage.serving_copy(stage.keys, clock) as visitor:
            for visit in stage.visits:
                faults = checker.living_faults(visitor.statuses(visit.paths))
                if clock == stage.clock:  # what fell due while the copy lay still went before the server was ready
                    faults += checker.file_faults(stage.opened_copy, visit.id)
                    faults += checker.row_faults(stage.opened_copy, visit.id)
                stage.faults += [f"the copy, {when}: {fault}" for fault in faults]


def _show(console: Console, visits: list[Visit]) -> None:
    table = Table("picture", title="Processed", title_justify="left", box=box.SIMPLE_HEAD)
    kibs = [f"{name} KiB" for name in checker.BOXES]
    for heading in ("sent KiB", "upload ms", *kibs, "largest", "processing ms"):
        table.add_column(heading, justify="right")
    for visit in visits:
        sizes = {rendition["name"]: rendition["bytes"] for rendition in visit.answer["renditions"]}
        widest = max(visit.answer["renditions"], key=itemgetter("width"), default={"width": 0, "height": 0})
        timings = (visit.answer["facts"] or {}).get("timings", {})
        spent_ms = sum(value for name, value in timings.items() if name != "queued_ms")
        table.add_row(
            visit.sample.name,
            _kib(len(visit.sample.body)),
            f"{visit.upload_ms:.0f}",
            *(_kib(sizes[name]) if name in sizes else "-" for name in checker.BOXES),
            f"{widest['width']} x {widest['height']}",
            f"{spent_ms:,.0f}" if timings else visit.answer["state"],
        )
    console.print(table)


def _kib(size: int) -> str:
    return f"{size / 1024:,.0f}"


def _say(console: Console, text: str) -> None:
    console.print(f"[bold]>[/bold] {text}")


def verdict(console: Console, stage: Stage, took_s: float) -> int:
    """Name every fault and give the exit code: 0 only without any."""
    for fault in stage.faults:
        console.print(f"NOT TRUE: {fault}", style="red", markup=False, soft_wrap=True)
    if stage.faults:
        console.print(f"Faults found: {len(stage.faults)}", style="bold red")
        return 1
    console.print(
        f"All true, in {took_s:.0f} s: {len(stage.visits)} pictures were processed and served rightly, all that was"
        " kept of them died on time, and the copy taken while they lived opens for nobody.",
        style="bold green",
    )
    return 0
