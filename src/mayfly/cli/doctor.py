"""`mayfly doctor`: what on this machine would keep Mayfly from working, or its promise from holding."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mayfly.adapters.local.clock import kernel_says_synchronised
from mayfly.cli.kafka import need_client
from mayfly.model.errors import MayflyError
from mayfly.model.instant import MINUTE, Ms
from mayfly.operations.check import Check
from mayfly.operations.topic import KafkaTools, Promise
from mayfly.operations.topic import checks as topic_checks
from mayfly.settings import Settings

_LOW_ON_DISK = 1024 * 1024 * 1024


def doctor(config: Path | None, options: Mapping[str, Any], *, as_json: bool) -> int:
    """Print every check; 1 if one failed, else 0. Starts nothing that stays and changes nothing."""
    settings = Settings.load(config, options, os.environ)
    checks = [
        Check("settings", "ok", "valid"),
        *_folders(settings),
        _disk(settings),
        _clock(),
        *_guarded("image engine", lambda: _engine(settings)),
        *kafka_checks(settings, os.environ),
    ]
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            print(f"{check.verdict:8} {check.name}: {check.found}")
            print(*(f"         {line}\n" for line in (check.why, check.fix) if line), sep="", end="")
    return int(any(check.verdict == "failed" for check in checks))


def _folders(settings: Settings) -> list[Check]:
    return [_folder("data", settings.data, "--data"), _folder("keys", settings.keys_folder, "--keys")]


def _folder(name: str, path: Path, option: str) -> Check:
    if not path.exists():
        return Check(f"{name} folder", "ok", f"{path} does not exist yet; `mayfly up` makes it")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Check(f"{name} folder", "failed", f"{path} cannot be written", f"give another {option}, or its owner")
    if path.stat().st_mode & 0o077:
        return Check(f"{name} folder", "failed", f"{path} is open to others", f"chmod 700 {path}")
    return Check(f"{name} folder", "ok", str(path))


def _disk(settings: Settings) -> Check:
    place = settings.data.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / 1024**3:.1f} GiB free beneath {place}"
    if free < _LOW_ON_DISK:
        return Check("disk", "warning", found, "uploads get 503 when it is full; what is due still dies on time")
    return Check("disk", "ok", found)


def _clock() -> Check:
    if kernel_says_synchronised():
        return Check("clock", "ok", "synchronised, as far as the kernel knows")
    return Check(
        "clock",
        "warning",
        "the kernel knows it to be unsynchronised",
        "run a time service (chrony, systemd-timesyncd); after over an hour off, a start waits for "
        "`mayfly clock confirm` before it destroys anything",
    )


def _engine(settings: Settings) -> list[Check]:
    from mayfly.processing.limits import Limits
    from mayfly.processing.sandbox import Sandbox

    with Sandbox(Limits(), settings.renditions) as sandbox:
        cage = sandbox.cage
    absent = [layer for layer, in_force in cage.items() if in_force is not True]
    checks = [Check("image engine", "ok", "a worker starts and answers")]
    if absent:
        checks.append(
            Check("workers' cage", "warning", f"not in force here: {', '.join(absent)}", "Linux 5.13 or newer has all")
        )
    else:
        checks.append(Check("workers' cage", "ok", ", ".join(cage)))
    return checks


def kafka_checks(settings: Settings, environ: Mapping[str, str]) -> list[Check]:
    """The brokers, and every topic that the settings name; nothing where Kafka is not set."""
    if settings.kafka is None:
        return []
    try:
        need_client(settings)
        from mayfly.wiring.kafka import look_at  # only now: it imports that client

        cluster = look_at(settings, environ)
    except MayflyError as fault:
        return [
            Check(
                "kafka",
                "failed",
                str(fault),
                "mend the settings that it names; nothing else of Kafka could be looked at",
            )
        ]
    promise = Promise(
        images=settings.topic,
        retention_ms=(settings.kafka_retention or settings.retention).minutes * MINUTE,
        max_bytes=settings.max_bytes,
        consumers=settings.kafka_consumers,
        trim=settings.kafka_trim,
        dead_letters=settings.kafka_dead_letters if settings.topic else None,
        events=settings.kafka_events,
        tools=KafkaTools(settings.kafka, secured=settings.kafka_protocol != "PLAINTEXT"),
    )
    reached = Check("kafka", "ok", f"{settings.kafka} lets us in; brokers: {cluster.brokers}")
    return [reached, *topic_checks(cluster, promise, Ms(time.time_ns() // 1_000_000))]


def _guarded(name: str, check: Callable[[], list[Check]]) -> list[Check]:
    try:
        return check()
    except (MayflyError, ImportError, OSError) as fault:
        return [Check(name, "failed", f"{fault} ({sys.version.split()[0]})", "reinstall Mayfly: `make setup`")]
