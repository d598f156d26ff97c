"""`mayfly produce`: a sample producer. Writes the images of a folder to a topic, as any producer of theirs would."""

import contextlib
import hashlib
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from mayfly.cli.client import FAILED, errors
from mayfly.cli.kafka import need_client
from mayfly.cli.upload import images_in, labels_of
from mayfly.client import UsageError
from mayfly.client.source import source_of
from mayfly.model.errors import MayflyError, Misconfigured, TooLarge, UnknownType
from mayfly.model.formats import HEAD_BYTES, sniff
from mayfly.model.instant import Ms, rfc3339
from mayfly.settings import Settings

if TYPE_CHECKING:
    from mayfly.adapters.kafka.producer import ImageProducer

SOURCE = "urn:mayfly:produce"
TYPE = "mayfly.image.produced"
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Producing:
    """What `mayfly produce` was told. `rate` is messages a second, None as fast as it goes."""

    folder: Path
    labels: Sequence[str]
    rate: float | None
    claim_checks: bool
    as_json: bool


@dataclass(slots=True)
class _Count:
    most: int
    """Bytes that an image may have."""
    produced: int = 0
    bytes: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    """By file, why it is not in the topic."""


def produce(config: Path | None, options: Mapping[str, Any], told: Producing) -> int:
    """Write each image; one that cannot be written is named and does not stop the others. The exit code.

    Raises:
        Misconfigured: the settings name no brokers or not one topic, the brokers refuse us, the topic does not exist.
        Unavailable: no broker answers.
    """
    settings = Settings.load(config, options, os.environ)
    if settings.kafka is None:
        raise Misconfigured("kafka: name the brokers with --kafka HOST:PORT")
    if len(settings.topic) != 1:
        raise Misconfigured("topic: name the one to write to with --topic")
    try:
        labels = labels_of(told.labels)
    except UsageError as fault:
        raise Misconfigured(str(fault)) from None
    paths = images_of(told.folder)
    need_client(settings)
    from mayfly.wiring.kafka import producer_of  # only now: it imports that client

    producer = producer_of(settings, os.environ)
    count, began = _Count(settings.max_bytes), time.monotonic()
    with _progress(paths) as progress:
        for number, path in enumerate(paths):
            if told.rate is not None:
                producer.rest(began + number / told.rate - time.monotonic())
            _send(producer, path, told, labels, count, progress)
        lost = producer.finish()
    for name, reason in count.faults.items():
        errors.print(f"{name}: {reason}", markup=False, highlight=False)
    if told.as_json:
        print(json.dumps({"produced": count.produced, "bytes": count.bytes, "faults": count.faults}, indent=2))
    else:
        print(f"{count.produced} of {len(paths)} images written to {settings.topic[0]}, {count.bytes} bytes")
    return FAILED if lost or count.faults else 0


def images_of(folder: Path) -> list[Path]:
    """
    Raises:
        MayflyError: it is no folder, or holds no image, by the endings of names.
    """
    if not folder.is_dir():
        raise MayflyError(f"{folder}: there is no such folder")
    paths = sorted(images_in([folder]))
    if not paths:
        raise MayflyError(f"{folder}: no image in it, by the endings of names")
    return paths


def _send(
    producer: "ImageProducer", path: Path, told: Producing, labels: Mapping[str, str], count: _Count, bar: Progress
) -> None:
    try:
        size = path.stat().st_size
        headers, value = _message(path, size, told.claim_checks, labels, count.most)
    except (MayflyError, OSError) as fault:
        count.faults[str(path)] = str(fault)
        return

    def done(fault: str | None) -> None:
        if fault is not None:
            count.faults[str(path)] = fault
            return
        count.produced += 1
        count.bytes += size
        bar.update(bar.task_ids[0], completed=count.bytes, files=count.produced)

    producer.send(headers["ce_id"], headers, value, done)


def _message(
    path: Path, size: int, claim_check: bool, labels: Mapping[str, str], most: int
) -> tuple[dict[str, str], bytes]:
    if size > most:
        raise TooLarge(f"{size} bytes; at most {most} are taken (max_bytes)")
    with path.open("rb") as file:
        media_type = sniff(file.read(HEAD_BYTES))
    if media_type is None:
        raise UnknownType("no image of a type that is taken")
    if claim_check:
        return _headers("application/json", path, labels), _claim_check(path, size)
    return _headers(media_type.value, path, labels), path.read_bytes()


def _headers(content_type: str, path: Path, labels: Mapping[str, str]) -> dict[str, str]:
    """A CloudEvent in binary mode (its Kafka binding, version 1.0): attributes are headers, the value is the data."""
    now = Ms(time.time_ns() // 1_000_000)
    return {
        "ce_specversion": "1.0",
        "ce_id": str(uuid.uuid4()),
        "ce_source": SOURCE,
        "ce_type": TYPE,
        "ce_time": rfc3339(now),
        "content-type": content_type,
        "content-disposition": source_of(path, None, None).disposition or "",
    } | {f"ce_label{name}": value for name, value in labels.items()}


def _claim_check(path: Path, size: int) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    claim = {"uri": path.resolve().as_uri(), "sha256": digest.hexdigest(), "bytes": size}
    return json.dumps(claim, separators=(",", ":")).encode()


@contextlib.contextmanager
def _progress(paths: Sequence[Path]) -> Iterator[Progress]:
    """A bar of bytes that the brokers have, and of how many files; where stderr is a terminal."""
    size = 0
    for path in paths:
        with contextlib.suppress(OSError):
            size += path.stat().st_size
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[files]} of {task.fields[most]} files"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True, disable=not sys.stderr.isatty()) as progress:
        progress.add_task("Producing", total=size, files=0, most=len(paths))
        yield progress
