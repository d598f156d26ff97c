"""`mayfly config`: write the settings' file, check it, show what is in force.

The settings are imported where they are used: pydantic takes longer to import than `mayfly --help` may take.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from mayfly.model.errors import Misconfigured

if TYPE_CHECKING:
    from mayfly.settings import Settings

MISCONFIGURED = 2
"""The exit code of settings that cannot be started with."""

app = typer.Typer(name="config", help="Write, check and show the settings.", no_args_is_help=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The settings' file. [default: $MAYFLY_CONFIG, or ./mayfly.toml]"),
]


@app.command()
def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("mayfly.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a mayfly.toml that holds every setting, commented out, with its default and its meaning."""
    from mayfly.settings.text import template

    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError:
        _fail(f"{path} exists already; --force overwrites it")
    except OSError as error:
        _fail(f"{path}: cannot be written: {error.strerror}")
    typer.echo(f"wrote {path}: every setting is in it, commented out")


@app.command()
def check(config: ConfigOption = None) -> None:
    """Say every fault of the settings in force. Exit 0 if there is none, 2 otherwise."""
    _load(config)
    typer.echo("the settings are fine")


@app.command()
def show(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Show each setting's value, and where it is from."""
    settings = _load(config)
    values = settings.model_dump(mode="json") | {"keys": str(settings.keys_folder)}
    shown = {name: {"value": values[name], "origin": settings.origins[name]} for name in settings.names()}
    if as_json:
        typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    width = max(map(len, shown))
    for name, entry in shown.items():
        typer.echo(f"{name:<{width}}  {_words(entry['value'])}  [{entry['origin']}]")


def _load(config: Path | None) -> "Settings":
    from mayfly.settings import Settings

    try:
        return Settings.load(config, {}, os.environ)
    except Misconfigured as error:
        _fail(*error.faults)


def _words(value: object) -> str:
    """Lists whole, tables by the names in them; the whole of those is in the file, or in `--json`."""
    if isinstance(value, dict | list):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)


def _fail(*faults: str) -> NoReturn:
    for fault in faults:
        typer.echo(fault, err=True)
    raise typer.Exit(MISCONFIGURED)
