"""The commands that speak to a running server over HTTP."""

import json
import mimetypes
import sys
import time
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_TIMEOUT = httpx.Timeout(120.0, connect=5.0)
_POLL_SECONDS = 0.1
_FINAL = ("processed", "failed", "rejected")

FAILED = 1
UNREACHABLE = 3
GONE = 4
WRONG_USAGE = 2

_EXIT_CODES = {404: GONE, 410: GONE}

errors = Console(stderr=True, soft_wrap=True)
out = Console(soft_wrap=True)


def upload(url: str, files: list[Path], retain: str | None, labels: list[str], *, wait: bool, as_json: bool) -> int:
    """Upload each file; one that is refused does not stop the others. The exit code."""
    parameters = _upload_parameters(retain, labels)
    results: list[dict[str, Any]] = []
    failed = 0
    with _client(url) as client, _progress() as progress:
        task = progress.add_task("Uploading", total=len(files))
        for path in files:
            try:
                image = _upload_one(client, path, parameters)
                if wait:
                    image = _wait(client, image)
                    failed += image["state"] != "processed"
                results.append({"file": str(path), **image})
            except _ProblemError as problem:
                failed += 1
                results.append({"file": str(path), "problem": problem.document})
                if not as_json:
                    errors.print(f"{path}: {problem}", markup=False)
            except OSError as fault:
                failed += 1
                results.append({"file": str(path), "problem": {"detail": fault.strerror}})
                if not as_json:
                    errors.print(f"{path}: {fault.strerror}", markup=False)
            progress.advance(task)
    if as_json:
        print(json.dumps(results, indent=2))
    else:
        _table([result for result in results if "problem" not in result])
    return FAILED if failed else 0


def ls(url: str, filters: dict[str, str | None], *, everything: bool, as_json: bool) -> int:
    """List images, newest first."""
    parameters = {name: value for name, value in filters.items() if value is not None}
    items: list[dict[str, Any]] = []
    with _client(url) as client:
        while True:
            page = _checked(client.get("/v1/images", params=parameters)).json()
            items += page["items"]
            if not everything or page["next_cursor"] is None:
                break
            parameters["cursor"] = page["next_cursor"]
    if as_json:
        print(json.dumps({"items": items, "next_cursor": page["next_cursor"]}, indent=2))
    else:
        _table(items)
        if page["next_cursor"] is not None:
            errors.print("more: --all, or --cursor", page["next_cursor"])
    return 0


def get(url: str, image_id: str, rendition: str | None, *, original: bool, output: Path | None) -> int:
    """One image's record as JSON, or a picture's bytes into a file."""
    if rendition is not None and original:
        raise UsageError("--original and --rendition are two pictures: ask for one")
    path = f"/v1/images/{quote(image_id, safe='')}"
    with _client(url) as client:
        if rendition is None and not original:
            record = json.dumps(_checked(client.get(path)).json(), indent=2)
            if output is None:
                print(record)
            else:
                output.write_text(record + "\n", encoding="utf-8")
            return 0
        if output is None and sys.stdout.isatty():
            raise UsageError("this would print a picture's bytes on the terminal: name a file with -o FILE")
        part = "original" if original else f"renditions/{quote(rendition or '', safe='')}"
        _download(client, f"{path}/{part}", output)
    return 0


def sweep(url: str, *, as_json: bool) -> int:
    """Destroy now what is due. Exit code 1 where something could not be verified as gone."""
    with _client(url) as client:
        run = _checked(client.post("/v1/sweeps", json={})).json()
    if as_json:
        print(json.dumps(run, indent=2))
    else:
        out.print(f"swept through {run['through']}: {run['keys_destroyed']} keys destroyed, {run['orphans']} orphans")
        for swept in run["swept"]:
            out.print(
                f"  {swept['minute']}: {swept['originals']} originals, {swept['renditions']} renditions, "
                f"{swept['records']} records"
            )
        for minute in run["unverified"]:
            errors.print(f"  {minute}: something still stands there; it is swept again")
    return FAILED if run["unverified"] else 0


def confirm_clock(url: str) -> int:
    """Say that the clock is right after a jump."""
    with _client(url) as client:
        now = _checked(client.post("/v1/clock/confirm", json={})).json()["now"]
    out.print(f"confirmed: it is {now}")
    return 0


class UsageError(Exception):
    """The options do not fit together."""


class _ProblemError(Exception):
    """The server answered with a problem document."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        super().__init__(f"{document.get('title', 'the server refused')} ({status}): {document.get('detail', '')}")
        self.status = status
        self.document = document


def run(command: Any) -> NoReturn:
    """Run a command and leave with its exit code; what the server says goes to stderr."""
    try:
        code = command()
    except _ProblemError as problem:
        errors.print(str(problem), markup=False)
        code = _EXIT_CODES.get(problem.status, FAILED)
    except UsageError as fault:
        errors.print(str(fault), markup=False)
        code = WRONG_USAGE
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as fault:
        errors.print(f"--url is no address: {fault} It reads like http://127.0.0.1:8080", markup=False)
        code = WRONG_USAGE
    except (httpx.RemoteProtocolError, httpx.ReadError) as fault:
        errors.print(
            f"the server ended its answer early ({fault}): the image may have expired just now, or the server was "
            "stopped; try again",
            markup=False,
        )
        code = FAILED
    except json.JSONDecodeError:
        errors.print("what answers there is no Mayfly server: name yours with --url", markup=False)
        code = FAILED
    except OSError as fault:
        if fault.filename is None:  # not a file of the user's: a broken pipe, for one
            raise
        errors.print(f"{fault.filename}: {fault.strerror}", markup=False)
        code = FAILED
    except httpx.TransportError as fault:
        errors.print(
            f"cannot reach the server ({fault}): start it with `mayfly up`, or name it with --url", markup=False
        )
        code = UNREACHABLE
    sys.exit(code)


def _client(url: str) -> httpx.Client:
    # The server is on this machine: a proxy that is set for the web would never find it.
    return httpx.Client(base_url=url, timeout=_TIMEOUT, headers={"User-Agent": "mayfly-cli"}, trust_env=False)


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    response.read()
    try:
        document = response.json()
    except ValueError:
        document = {"title": "This is no Mayfly server", "detail": f"it answered {response.status_code}"}
    raise _ProblemError(response.status_code, document)


def _upload_parameters(retain: str | None, labels: list[str]) -> dict[str, str]:
    parameters = {} if retain is None else {"retain": retain}
    for label in labels:
        name, equals, value = label.partition("=")
        if not equals:
            raise UsageError(f"a label reads NAME=VALUE; got {label!r}")
        parameters[f"label.{name}"] = value
    return parameters


def _upload_one(client: httpx.Client, path: Path, parameters: dict[str, str]) -> dict[str, Any]:
    with path.open("rb") as file:
        name = "".join(c for c in path.name if c.isascii() and c.isprintable() and c not in '"\\')
        quoted = quote(path.name.encode(errors="surrogateescape"), safe="")
        headers = {
            "Content-Type": _declared(path),
            "Content-Length": str(path.stat().st_size),
            "Content-Disposition": f"attachment; filename=\"{name}\"; filename*=UTF-8''{quoted}",
        }
        response = client.post("/v1/images", params=parameters, content=file, headers=headers)
    image: dict[str, Any] = _checked(response).json()
    return image


def _declared(path: Path) -> str:
    """Image types are declared by name, so that a misnamed file is noticed; anything else declares nothing."""
    guessed = mimetypes.guess_type(path.name)[0] or ""
    return guessed if guessed.startswith("image/") else "application/octet-stream"


def _wait(client: httpx.Client, image: dict[str, Any]) -> dict[str, Any]:
    while image["state"] not in _FINAL:
        time.sleep(_POLL_SECONDS)
        image = _checked(client.get(f"/v1/images/{image['id']}")).json()
    return image


def _download(client: httpx.Client, path: str, output: Path | None) -> None:
    with client.stream("GET", path) as response:
        _checked(response)
        if output is None:
            for chunk in response.iter_bytes():
                sys.stdout.buffer.write(chunk)
            return
        # Into a neighbour first: a response that is cut off at its image's second leaves no half file.
        part = output.with_name(output.name + ".part")
        try:
            with part.open("wb") as file:
                for chunk in response.iter_bytes():
                    file.write(chunk)
            part.replace(output)
        finally:
            part.unlink(missing_ok=True)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _table(items: list[dict[str, Any]]) -> None:
    """One line an image, columns aligned. Never cut to the terminal's width: an id has to be whole to be used."""
    if not items:
        return
    rows = [("id", "state", "type", "KiB", "received", "expires")]
    for item in items:
        state = item["state"] if item["reason"] is None else f"{item['state']} ({item['reason']})"
        kind, size = item["media_type"].removeprefix("image/"), f"{item['bytes'] / 1024:.0f}"
        rows.append((item["id"], state, kind, size, item["received_at"], item["expires_at"]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
