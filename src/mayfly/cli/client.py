"""The commands that speak to a running server, over `mayfly.Client`."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from mayfly.client import (
    Client,
    GoneError,
    Image,
    MayflyClientError,
    NotFoundError,
    ProblemError,
    UnreachableError,
    UntrustedError,
    UsageError,
)

FAILED = 1
UNREACHABLE = 3
GONE = 4
WRONG_USAGE = 2

TOKEN_VARIABLE = "MAYFLY_TOKEN"  # noqa: S105 - a name

errors = Console(stderr=True, soft_wrap=True)
out = Console(soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is, and how it is spoken to."""

    url: str
    ca: Path | None = None
    token_file: Path | None = None

    def client(self) -> Client:
        """
        Raises:
            UsageError: it cannot be spoken to so.
            OSError: a file cannot be read.
        """
        token = os.environ.get(TOKEN_VARIABLE) or None
        if self.token_file is not None:
            token = self.token_file.read_text(encoding="utf-8", errors="replace")
        return Client(self.url, token=token, ca=self.ca)


def ls(client: Client, filters: Mapping[str, Any], *, everything: bool, as_json: bool) -> int:
    """List images, newest first."""
    page = client.page(**filters)
    items = list(page.items)
    while everything and page.next_cursor is not None:
        page = client.page(**{**filters, "cursor": page.next_cursor})
        items += page.items
    if as_json:
        print(json.dumps({"items": [item.raw for item in items], "next_cursor": page.next_cursor}, indent=2))
    else:
        table(items)
        if page.next_cursor is not None:
            errors.print("more: --all, or --cursor", page.next_cursor)
    return 0


def get(client: Client, image_id: str, rendition: str | None, *, original: bool, output: Path | None) -> int:
    """One image's record as JSON, or a picture's bytes into a file."""
    if rendition is not None and original:
        raise UsageError("--original and --rendition are two pictures: ask for one")
    if rendition is None and not original:
        record = json.dumps(client.image(image_id).raw, indent=2)
        if output is None:
            print(record)
        else:
            output.write_text(record + "\n", encoding="utf-8")
    elif output is not None:
        client.download(image_id, output, rendition=rendition)
    elif sys.stdout.isatty():
        raise UsageError("this would print a picture's bytes on the terminal: name a file with -o FILE")
    else:
        client.download(image_id, sys.stdout.buffer, rendition=rendition)
    return 0


def erase(client: Client, image_ids: Sequence[str]) -> int:
    """Erase each; one that is not there does not stop the others."""

    def one(image_id: str) -> None:
        client.erase(image_id)
        out.print(f"erased {image_id}", markup=False, highlight=False)

    return _each(image_ids, one)


def retry(client: Client, image_ids: Sequence[str]) -> int:
    """Process each failed image again."""
    images: list[Image] = []
    code = _each(image_ids, lambda image_id: images.append(client.retry(image_id)))
    table(images)
    return code


def sweep(client: Client, *, as_json: bool) -> int:
    """Destroy now what is due. Exit code 1 where something could not be verified as gone."""
    run = client.sweep()
    if as_json:
        print(json.dumps(run.raw, indent=2))
    else:
        out.print(f"swept through {run.through}: {run.keys_destroyed} keys destroyed, {run.orphans} orphans")
        for swept in run.swept:
            out.print(
                f"  {swept.minute}: {swept.originals} originals, {swept.renditions} renditions, {swept.records} records"
            )
        for minute in run.unverified:
            errors.print(f"  {minute}: something still stands there; it is swept again")
    return FAILED if run.unverified else 0


def confirm_clock(client: Client) -> int:
    """Say that the clock is right after a jump."""
    now = client.confirm_clock()
    out.print(f"confirmed: it is {now.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}", highlight=False)
    return 0


def run(place: Place, command: Callable[[Client], int]) -> NoReturn:
    """Run a command and leave with its exit code; what the server says goes to stderr."""
    try:
        with place.client() as client:
            code = command(client)
    except (MayflyClientError, OSError) as fault:
        if isinstance(fault, OSError) and fault.filename is None:  # not a file of the user's: a broken pipe, for one
            raise
        errors.print(_said_of_all(fault), markup=False)
        code = _code_of(fault)
    sys.exit(code)


def _code_of(fault: MayflyClientError | OSError) -> int:
    match fault:
        case NotFoundError() | GoneError():
            return GONE
        case UnreachableError():
            return UNREACHABLE
        case UsageError():
            return WRONG_USAGE
    return FAILED


def said(fault: MayflyClientError | OSError) -> str:
    """What to say of one file."""
    if isinstance(fault, IsADirectoryError):
        return f"{fault.strerror}: --recursive takes the images in it"
    return str(fault.strerror) if isinstance(fault, OSError) else str(fault)


def _said_of_all(fault: MayflyClientError | OSError) -> str:
    """Of what does not belong to one file, with the option that mends it."""
    if isinstance(fault, OSError):
        return f"{fault.filename}: {fault.strerror}"
    if isinstance(fault, UntrustedError):
        return f"{fault} (--ca)"
    return f"{fault} (--url)" if isinstance(fault, UnreachableError) else str(fault)


def _each(image_ids: Sequence[str], one: Callable[[str], None]) -> int:
    """Do it for each; the worst exit code."""
    codes = {0}
    for image_id in image_ids:
        try:
            one(image_id)
        except ProblemError as fault:
            errors.print(f"{image_id}: {fault}", markup=False, highlight=False)
            codes.add(_code_of(fault))
    return FAILED if FAILED in codes else max(codes)


def table(items: Sequence[Image]) -> None:
    """One line an image."""
    rows = []
    for item in items:
        state = item.state if item.reason is None else f"{item.state} ({item.reason})"
        kind, size = item.media_type.removeprefix("image/"), f"{item.bytes / 1024:.0f}"
        rows.append((item.id, state, kind, size, item.raw["received_at"], item.raw["expires_at"]))
    aligned(("id", "state", "type", "KiB", "received", "expires"), rows)


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, or nothing where it has no row. Never cut to the terminal's width: an id has to be whole to be used."""
    if not rows:
        return
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
