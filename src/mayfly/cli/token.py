"""`mayfly token`: make, list and revoke the tokens by which other machines are let in.

The owner of the data folder is asked over its socket; where none runs, the folder is opened under its lock.
"""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mayfly.model.instant import MINUTE
from mayfly.model.principal import Role
from mayfly.model.token import LONGEST_LIFE

if TYPE_CHECKING:
    from mayfly.settings import Settings

app = typer.Typer(name="token", help="Tokens, by which other machines are let in.", no_args_is_help=True)

_UNITS = {"m": MINUTE, "h": 60 * MINUTE, "d": 24 * 60 * MINUTE}
_LIFE = re.compile(r"([1-9][0-9]{0,5})([mhd])")

Data = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder of sealed data. [default: mayfly-data]")]
Keys = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder of keys. [default: DATA.keys]")]
Config = Annotated[Path | None, typer.Option(metavar="FILE", help="Settings. [default: mayfly.toml]")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


@app.command()
def create(
    role: Annotated[
        Role, typer.Option(metavar="ROLE", help="uploader, analyst, scientist, operator, auditor or admin.")
    ],
    expires: Annotated[str, typer.Option(metavar="LIFE", help="30d, 12h or 45m; at most 366d.")] = "90d",
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its bearer's, kept with what they do. [default: ROLE-ID]")
    ] = None,
    data: Data = None,
    keys: Keys = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a token. It is printed this once, and kept nowhere."""
    from mayfly.cli import owner

    made = owner.create_token(_settings(data, keys, config), role.value, _life(expires), name)
    if as_json:
        print(json.dumps(made, indent=2))
        return
    print(made["token"])
    typer.echo(
        f"{made['role']} {made['name']}, until {made['expires_at']}; `mayfly token revoke {made['id']}` ends it. "
        "The token is shown this once: keep it like a password.",
        err=True,
    )


@app.command("ls")
def list_tokens(data: Data = None, keys: Keys = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the tokens; those that ended are listed for 30 days."""
    from mayfly.cli import owner

    found = owner.list_tokens(_settings(data, keys, config))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    columns = ("id", "role", "name", "state", "created_at", "expires_at")
    rows = [columns, *(tuple(token[column] for column in columns) for token in found)] if found else []
    widths = [max(len(row[column]) for row in rows) for column in range(len(columns))] if rows else []
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID")],
    data: Data = None,
    keys: Keys = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """End a token: the next request that shows it is refused."""
    from mayfly.cli import owner

    ended = owner.revoke_token(_settings(data, keys, config), token_id)
    print(json.dumps(ended, indent=2) if as_json else f"{ended['id']} is {ended['state']}")


def _settings(data: Path | None, keys: Path | None, config: Path | None) -> "Settings":
    from mayfly.settings import Settings

    return Settings.load(config, {"data": data, "keys": keys}, os.environ)


def _life(text: str) -> int:
    """In ms."""
    found = _LIFE.fullmatch(text)
    life = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < life <= LONGEST_LIFE:
        raise typer.BadParameter(f"reads 30d, 12h or 45m, at most 366d; got {text[:40]!r}", param_hint="--expires")
    return life
