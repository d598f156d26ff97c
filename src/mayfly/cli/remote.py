"""The options of the commands that speak to a running server. What they do stands in the modules beside."""

from pathlib import Path
from typing import Annotated

import typer

Url = Annotated[str, typer.Option("--url", envvar="MAYFLY_URL", metavar="URL", help="The server's address.")]
Ca = Annotated[
    Path | None, typer.Option("--ca", envvar="MAYFLY_CA", metavar="FILE", help="Who signs its certificate, as PEM.")
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="Where the token is. [default: MAYFLY_TOKEN]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID", help="As `mayfly ls` shows them.")]
URL = "http://127.0.0.1:8080"

clock_app = typer.Typer(name="clock", help="The server's clock.", no_args_is_help=True)


def upload(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Images.")],
    url: Url = URL,
    ca: Ca = None,
    token_file: TokenFile = None,
    retain: Annotated[str | None, typer.Option(metavar="DURATION", help="Live shorter, e.g. PT1H.")] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A declared label.")] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Take the images in folders.")] = False,
    parallel: Annotated[int, typer.Option(metavar="N", min=1, max=64, help="How many at once.")] = 4,
    form: Annotated[bool, typer.Option("--form", help="By forms, as images above direct_bytes are.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until each is processed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Upload images."""
    from mayfly.cli import client
    from mayfly.cli import upload as uploading

    told = uploading.Uploading(files, retain, label or (), recursive, parallel, form, wait, as_json)
    client.run(client.Place(url, ca, token_file), lambda server: uploading.upload(server, told))


def ls(
    url: Url = URL,
    ca: Ca = None,
    token_file: TokenFile = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="awaited, received, processing, processed, failed or rejected.")
    ] = None,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="http or kafka.")] = None,
    received_from: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Born at or after.")] = None,
    received_to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Born before.")] = None,
    limit: Annotated[str | None, typer.Option(metavar="N", help="Images a page, 1 to 200.")] = None,
    cursor: Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on after the previous page.")] = None,
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
    client.run(
        client.Place(url, ca, token_file),
        lambda server: client.ls(server, filters, everything=everything, as_json=as_json),
    )


def get(
    image_id: Annotated[str, typer.Argument(metavar="ID")],
    url: Url = URL,
    ca: Ca = None,
    token_file: TokenFile = None,
    rendition: Annotated[str | None, typer.Option(metavar="NAME", help="Fetch this rendition.")] = None,
    original: Annotated[bool, typer.Option("--original", help="Fetch the bytes as received.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Into this file, not to stdout.")
    ] = None,
) -> None:
    """Show one image's record, or fetch its bytes."""
    from mayfly.cli import client

    client.run(
        client.Place(url, ca, token_file),
        lambda server: client.get(server, image_id, rendition, original=original, output=output),
    )


def reprocess(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="These; else by filter.")] = None,
    url: Url = URL,
    ca: Ca = None,
    token_file: TokenFile = None,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="processed or failed. [default: both]")] = None,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="http or kafka.")] = None,
    received_from: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Born at or after.")] = None,
    received_to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Born before.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Process again what failed, and what the recipes in force would make otherwise. Nothing lives longer by it."""
    from mayfly.cli import client
    from mayfly.cli.reprocess import reprocess as run_reprocess

    filters = {"state": state, "source": source, "received_from": received_from, "received_to": received_to}
    client.run(
        client.Place(url, ca, token_file),
        lambda server: run_reprocess(server, filters, ids or [], dry_run=dry_run, as_json=as_json),
    )


def erase(image_ids: Ids, url: Url = URL, ca: Ca = None, token_file: TokenFile = None) -> None:
    """Erase images early: bytes and records are gone at once, and there is no way back."""
    from mayfly.cli import client

    client.run(client.Place(url, ca, token_file), lambda server: client.erase(server, image_ids))


def retry(image_ids: Ids, url: Url = URL, ca: Ca = None, token_file: TokenFile = None) -> None:
    """Process failed images again."""
    from mayfly.cli import client

    client.run(client.Place(url, ca, token_file), lambda server: client.retry(server, image_ids))


def sweep(url: Url = URL, ca: Ca = None, token_file: TokenFile = None, as_json: AsJson = False) -> None:
    """Destroy now what is due, and remove what is orphaned."""
    from mayfly.cli import client

    client.run(client.Place(url, ca, token_file), lambda server: client.sweep(server, as_json=as_json))


@clock_app.command("confirm")
def clock_confirm(url: Url = URL, ca: Ca = None, token_file: TokenFile = None) -> None:
    """Say that the time is right after a jump: what is due by it is destroyed from here on."""
    from mayfly.cli import client

    client.run(client.Place(url, ca, token_file), client.confirm_clock)


COMMANDS = (upload, ls, get, erase, retry, reprocess, sweep)
"""In the order in which the help lists them."""
