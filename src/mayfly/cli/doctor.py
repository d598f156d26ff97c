"""`mayfly doctor`: what on this machine would keep Mayfly from working, or its promise from holding."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mayfly.adapters.local.clock import kernel_says_synchronised
from mayfly.model.errors import MayflyError
from mayfly.settings import Settings

Verdict = Literal["ok", "warning", "failed"]

_LOW_ON_DISK = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `fix` says what to do about it."""

    name: str
    verdict: Verdict
    found: str
    fix: str = ""


def doctor(config: Path | None, options: Mapping[str, Any], *, as_json: bool) -> int:
    """Print every check; 1 if one failed, else 0. Starts nothing that stays and changes nothing."""
    settings = Settings.load(config, options, os.environ)
    checks = [
        Check("settings", "ok", "valid"),
        *_folders(settings),
        _disk(settings),
        _clock(),
        *_guarded("image engine", lambda: _engine(settings)),
    ]
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            print(f"{check.verdict:8} {check.name}: {check.found}" + (f"\n         {check.fix}" if check.fix else ""))
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


def _guarded(name: str, check: Callable[[], list[Check]]) -> list[Check]:
    try:
        return check()
    except (MayflyError, ImportError, OSError) as fault:
        return [Check(name, "failed", f"{fault} ({sys.version.split()[0]})", "reinstall Mayfly: `make setup`")]
