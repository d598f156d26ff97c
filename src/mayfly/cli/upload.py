"""`mayfly upload`."""

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from mayfly.cli.client import FAILED, errors, said, table
from mayfly.client import Client, MayflyClientError, ProblemError, Uploaded, UsageError
from mayfly.client import Progress as Sent

LOOKS_LIKE_AN_IMAGE = frozenset(
    {".avif", ".gif", ".heic", ".heif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
"""What `--recursive` takes from a folder, by the ending of its name, in any case."""


@dataclass(frozen=True, slots=True)
class Uploading:
    """What `mayfly upload` was told."""

    files: Sequence[Path]
    retain: str | None
    labels: Sequence[str]
    recursive: bool
    parallel: int
    form: bool
    wait: bool
    as_json: bool


def upload(client: Client, told: Uploading) -> int:
    """Upload each file; one that is refused does not stop the others. The exit code."""
    labels = labels_of(told.labels)
    paths = list(images_in(told.files)) if told.recursive else list(told.files)
    if not paths:
        raise MayflyClientError(f"{', '.join(map(str, told.files))}: no image in it, by the endings of names")
    # Nobody there, or not for us: said once, and not for each file.
    client.limits()
    ended: list[Uploaded] = []
    with _progress(paths) as sent:
        results = client.upload_many(
            paths,
            concurrency=told.parallel,
            retain=told.retain,
            labels=labels,
            form=True if told.form else None,
            progress=sent,
        )
        with contextlib.closing(results):
            for uploaded in results:
                final = _waited(client, uploaded) if told.wait else uploaded
                ended.append(final)
                if final.error is not None and not told.as_json:
                    errors.print(f"{final.path}: {said(final.error)}", markup=False)
    if told.as_json:
        print(json.dumps([_as_json(uploaded) for uploaded in ended], indent=2))
    else:
        table([uploaded.image for uploaded in ended if uploaded.image is not None])
    good = [uploaded.image is not None and (not told.wait or uploaded.image.state == "processed") for uploaded in ended]
    return 0 if all(good) else FAILED


def labels_of(told: Sequence[str]) -> dict[str, str]:
    labels = {}
    for label in told:
        name, equals, value = label.partition("=")
        if not equals:
            raise UsageError(f"a label reads NAME=VALUE; got {label!r}")
        labels[name] = value
    return labels


def images_in(places: Sequence[Path]) -> Iterator[Path]:
    """Files as they are; of folders what looks like an image, in order, hidden things left out."""
    for place in places:
        if not place.is_dir():
            yield place
            continue
        for folder, folders, names in os.walk(place):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith(".") and Path(name).suffix.lower() in LOOKS_LIKE_AN_IMAGE:
                    yield Path(folder, name)


def _waited(client: Client, uploaded: Uploaded) -> Uploaded:
    if uploaded.image is None:
        return uploaded
    try:
        return Uploaded(uploaded.path, client.wait(uploaded.image, timeout=math.inf))
    except MayflyClientError as fault:
        return Uploaded(uploaded.path, error=fault)


def _as_json(uploaded: Uploaded) -> dict[str, Any]:
    if uploaded.image is not None:
        return {"file": str(uploaded.path), **uploaded.image.raw}
    fault = uploaded.error
    assert fault is not None
    return {
        "file": str(uploaded.path),
        "problem": fault.raw if isinstance(fault, ProblemError) else {"detail": said(fault)},
    }


@contextlib.contextmanager
def _progress(paths: Sequence[Path]) -> Iterator[Callable[[Sent], None]]:
    """A bar of bytes, and how many files are done; where stderr is a terminal."""
    size = 0
    for path in paths:
        with contextlib.suppress(OSError):
            size += path.stat().st_size if path.is_file() else 0
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[files]} of {task.fields[most]} files"),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task("Uploading", total=size, files=0, most=len(paths))
        yield lambda sent: progress.update(task, completed=sent.sent, files=sent.files)
