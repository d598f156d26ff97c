"""`mayfly deadletters`: the options. What the commands do stands in `letters.py`."""

from typing import Annotated

import typer

from mayfly.cli.remote import URL, AsJson, Ca, TokenFile, Url

app = typer.Typer(
    name="deadletters", help="Images and records that ended without having been processed.", no_args_is_help=True
)

Reason = Annotated[str | None, typer.Option(metavar="REASON", help="Such as unknown-type or corrupt.")]
Topic = Annotated[str | None, typer.Option(metavar="TOPIC", help="Records of this topic.")]
Partition = Annotated[int | None, typer.Option(metavar="N", min=0, help="Records of this partition.")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Died at or after.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Died before.")]
Limit = Annotated[int | None, typer.Option(metavar="N", min=1, help="So many at most. [default: all]")]


@app.command("ls")
def list_letters(
    reason: Reason = None,
    topic: Topic = None,
    partition: Partition = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    url: Url = URL,
    ca: Ca = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """List the dead letters that are open."""
    from mayfly.cli import client
    from mayfly.cli.letters import Which, ls

    which = Which(reason, topic, partition, since, until, limit)
    client.run(client.Place(url, ca, token_file), lambda server: ls(server, which, as_json=as_json))


@app.command()
def redrive(
    reason: Reason = None,
    topic: Topic = None,
    partition: Partition = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    everything: Annotated[bool, typer.Option("--all", help="Without a filter: all of them.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would become of each.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Those, too, that came back too often.")] = False,
    url: Url = URL,
    ca: Ca = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Give what died another chance, as long as its bytes are kept. Nothing lives longer by it."""
    from mayfly.cli import client
    from mayfly.cli.letters import Which, redrive

    which = Which(reason, topic, partition, since, until, limit)
    client.run(
        client.Place(url, ca, token_file),
        lambda server: redrive(server, which, everything=everything, dry_run=dry_run, force=force, as_json=as_json),
    )
