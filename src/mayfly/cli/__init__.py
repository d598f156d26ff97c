"""The command line. What a command needs is imported when it runs: `mayfly --help` answers at once."""

import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from mayfly import __version__
from mayfly.cli import config, deadletters, remote, token
from mayfly.cli.remote import AsJson
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
app.add_typer(deadletters.app)
app.add_typer(remote.clock_app)
app.add_typer(token.app)

Kafka = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Kafka brokers, with commas between. [default: none]")
]
Topics = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Topic to read images from; repeatable.")]
KafkaGroup = Annotated[str | None, typer.Option(metavar="NAME", help="Consumer group. [default: mayfly]")]


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
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="IP address to listen on. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[str | None, typer.Option(metavar="N", help="Port; 0 picks a free one. [default: 8080]")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of sealed data. [default: mayfly-data]")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of keys, outside the data. [default: DATA.keys]")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TLS certificate and chain, PEM. [default: plain HTTP]")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's key, PEM.")] = None,
    behind_proxy: Annotated[
        bool | None, typer.Option("--behind-proxy", help="A proxy stands in front: everyone needs a token.")
    ] = None,
    workers: Annotated[str | None, typer.Option(metavar="N", help="Worker processes. [default: one a core]")] = None,
    kafka: Kafka = None,
    topic: Topics = None,
    kafka_group: KafkaGroup = None,
    kafka_consumers: Annotated[
        str | None, typer.Option(metavar="N", help="Consumer processes; 0: you start them. [default: 1]")
    ] = None,
    clock: Annotated[Path | None, typer.Option(metavar="FILE", help="Move time by this file (tests, demo).")] = None,
    log_format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="auto, text or json. [default: auto]")
    ] = None,
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
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
        "behind_proxy": behind_proxy,
        "workers": workers,
        "kafka": kafka,
        "topic": topic,
        "kafka_group": kafka_group,
        "kafka_consumers": kafka_consumers,
        "clock": clock,
        "log_format": log_format,
    }
    run_up(config, options, leaving)


@app.command()
def consume(
    kafka: Kafka = None,
    topic: Topics = None,
    kafka_group: KafkaGroup = None,
    data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of sealed data. [default: mayfly-data]")
    ] = None,
    keys: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder of keys. [default: DATA.keys]")] = None,
    log_format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="auto, text or json. [default: auto]")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings. [default: mayfly.toml]")] = None,
    tether: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Take images in from Kafka, beside a `mayfly up` that runs. `mayfly up --kafka` starts it by itself."""
    leaving = Leaving()  # before the imports, as above
    from mayfly.cli.consume import consume as run_consume

    options: dict[str, Any] = {
        "kafka": kafka,
        "topic": topic,
        "kafka_group": kafka_group,
        "data": data,
        "keys": keys,
        "log_format": log_format,
    }
    run_consume(config, options, tether, leaving)


for _command in remote.COMMANDS:
    app.command()(_command)


@app.command()
def produce(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Its images, and those of folders in it.")],
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Brokers, with commas.")] = None,
    topic: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where to. [default: the topic of the settings]")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A declared label.")] = None,
    rate: Annotated[float | None, typer.Option(metavar="N", min=0.001, help="So many a second. [default: all]")] = None,
    claim_checks: Annotated[
        bool, typer.Option("--claim-checks", help="Write where the files are. Mayfly deletes them there.")
    ] = False,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings. [default: mayfly.toml]")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a folder's images to a Kafka topic, as a sample producer. Who we are there: the settings kafka_*."""
    from mayfly.cli.produce import Producing
    from mayfly.cli.produce import produce as run_produce

    sys.exit(
        run_produce(
            config, {"kafka": kafka, "topic": topic}, Producing(folder, label or (), rate, claim_checks, as_json)
        )
    )


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
    data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of sealed data. [default: mayfly-data]")
    ] = None,
    keys: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder of keys. [default: DATA.keys]")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings. [default: mayfly.toml]")] = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine and, where Kafka is set, its topics. Exit code 1 if a check fails."""
    from mayfly.cli.doctor import doctor as run_doctor

    sys.exit(run_doctor(config, {"data": data, "keys": keys}, as_json=as_json))
