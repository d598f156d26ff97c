"""The command line. What a command needs is imported when it runs: `mayfly --help` answers at once."""

import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from mayfly import __version__
from mayfly.cli import config
from mayfly.model.errors import MayflyError, Misconfigured

MISCONFIGURED = config.MISCONFIGURED

app = typer.Typer(
    name="mayfly",
    help="Images that live seven days, and provably no longer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(config.app)
clock_app = typer.Typer(name="clock", help="The server's clock.", no_args_is_help=True)
app.add_typer(clock_app)

Url = Annotated[str, typer.Option("--url", envvar="MAYFLY_URL", metavar="URL", help="The server's address.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
_URL = "http://127.0.0.1:8080"


def main() -> None:
    """The console script. Exit codes: 0 done, 1 something failed, 2 wrong usage or settings, 3 no server, 4 gone."""
    try:
        app()
    except Misconfigured as fault:
        for line in fault.faults:
            print(line, file=sys.stderr)
        sys.exit(MISCONFIGURED)
    except MayflyError as fault:
        print(fault, file=sys.stderr)
        sys.exit(1)


class Leaving:
    """Makes SIGTERM and SIGINT end a start at once, closing what is open: exit code 0, for it was asked for.

    `left_to_others`: somebody else heeds them from now on; what still comes here was heeded by then.
    """

    def __init__(self) -> None:
        self.left_to_others = False
        self._told = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._heed)

    def unless_told(self) -> None:
        """Go on, or leave after all: an exception out of a signal is lost if it comes in a finaliser or a callback."""
        if self._told:
            self._leave()

    def _heed(self, *_: object) -> None:
        # Only once: a second signal would cut short the closing that the first began.
        if not self.left_to_others and not self._told:
            self._told = True
            self._leave()

    @staticmethod
    def _leave() -> NoReturn:
        raise SystemExit(0)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mayfly {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on: a loopback one. [default: 127.0.0.1]")] = None,
    port: Annotated[str | None, typer.Option(help="Port; 0 picks a free one. [default: 8080]")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of sealed data. [default: mayfly-data]")] = None,
    keys: Annotated[Path | None, typer.Option(help="Folder of keys, outside the data. [default: DATA.keys]")] = None,
    workers: Annotated[str | None, typer.Option(help="Worker processes. [default: one a core]")] = None,
    clock: Annotated[Path | None, typer.Option(metavar="FILE", help="Move time by this file (tests, demo).")] = None,
    log_format: Annotated[str | None, typer.Option(help="auto, text or json. [default: auto]")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings. [default: mayfly.toml]")] = None,
) -> None:
    """Serve: take images in, process them, destroy them on time.

    The first line printed is the address. Every other setting: `mayfly config init`, or MAYFLY_* in the environment.
    """
    leaving = Leaving()  # before the imports: they take most of a start
    from mayfly.cli.up import up as run_up

    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "data": data,
        "keys": keys,
        "workers": workers,
        "clock": clock,
        "log_format": log_format,
    }
    run_up(config, options, leaving)


@app.command()
def upload(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Images.")],
    url: Url = _URL,
    retain: Annotated[str | None, typer.Option(metavar="DURATION", help="Live shorter, e.g. PT1H.")] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A declared label.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until each is processed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Upload images."""
    from mayfly.cli import client

    client.run(lambda: client.upload(url, files, retain, label or [], wait=wait, as_json=as_json))


@app.command()
def ls(
    url: Url = _URL,
    state: Annotated[str | None, typer.Option(help="received, processing, processed, failed or rejected.")] = None,
    source: Annotated[str | None, typer.Option(help="http or kafka.")] = None,
    received_from: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Born at or after.")] = None,
    received_to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Born before.")] = None,
    limit: Annotated[str | None, typer.Option(help="Images a page, 1 to 200.")] = None,
    cursor: Annotated[str | None, typer.Option(help="Go on after the previous page.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every page.")] = False,
    as_json: AsJson = False,
) -> None:
    """List images, newest first."""
    from mayfly.cli import client

    filters = {
        "state": state,
        "source": source,
        "received_from": received_from,
        "received_to": received_to,
        "limit": limit,
        "cursor": cursor,
    }
    client.run(lambda: client.ls(url, filters, everything=everything, as_json=as_json))


@app.command()
def get(
    image_id: Annotated[str, typer.Argument(metavar="ID")],
    url: Url = _URL,
    rendition: Annotated[str | None, typer.Option(metavar="NAME", help="Fetch this rendition.")] = None,
    original: Annotated[bool, typer.Option("--original", help="Fetch the bytes as received.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Into this file, not to stdout.")] = None,
) -> None:
    """Show one image's record, or fetch its bytes."""
    from mayfly.cli import client

    client.run(lambda: client.get(url, image_id, rendition, original=original, output=output))


@app.command()
def reprocess(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="These; else by filter.")] = None,
    url: Url = _URL,
    state: Annotated[str | None, typer.Option(help="processed or failed. [default: both]")] = None,
    source: Annotated[str | None, typer.Option(help="http or kafka.")] = None,
    received_from: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Born at or after.")] = None,
    received_to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Born before.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Process again what failed, and what the recipes in force would make otherwise. Nothing lives longer by it."""
    from mayfly.cli import client
    from mayfly.cli.reprocess import reprocess as run_reprocess

    filters = {"state": state, "source": source, "received_from": received_from, "received_to": received_to}
    client.run(lambda: run_reprocess(url, filters, ids or [], dry_run=dry_run, as_json=as_json))


@app.command()
def sweep(url: Url = _URL, as_json: AsJson = False) -> None:
    """Destroy now what is due, and remove what is orphaned."""
    from mayfly.cli import client

    client.run(lambda: client.sweep(url, as_json=as_json))


@clock_app.command("confirm")
def clock_confirm(url: Url = _URL) -> None:
    """Say that the time is right after a jump: what is due by it is destroyed from here on."""
    from mayfly.cli import client

    client.run(lambda: client.confirm_clock(url))


@app.command()
def demo(
    photos: Annotated[Path | None, typer.Option(envvar="PHOTOS", metavar="FOLDER", help="Use these images.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folders, to look at them.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Fewer, smaller samples.")] = False,
) -> None:
    """Watch a seven-day life in about a minute. Exit code 0 only if every copy was gone in the end."""
    from mayfly.demo.story import run

    sys.exit(run(photos, keep, fast))


@app.command()
def doctor(
    data: Annotated[Path | None, typer.Option(help="Folder of sealed data. [default: mayfly-data]")] = None,
    keys: Annotated[Path | None, typer.Option(help="Folder of keys. [default: DATA.keys]")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings. [default: mayfly.toml]")] = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine: settings, folders, clock, image engine, the workers' cage. Exit code 1 if one fails."""
    from mayfly.cli.doctor import doctor as run_doctor

    sys.exit(run_doctor(config, {"data": data, "keys": keys}, as_json=as_json))
