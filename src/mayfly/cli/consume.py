"""`mayfly consume`: a consumer of the topics, beside the owner of the data folder."""

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mayfly.cli import Leaving
from mayfly.cli.kafka import need_client
from mayfly.entrypoints.consumers import MISCONFIGURED
from mayfly.entrypoints.core_dumps import forbid_core_dumps
from mayfly.entrypoints.ending import Ending
from mayfly.journal import configure, journal
from mayfly.model.errors import Misconfigured
from mayfly.settings import Settings
from mayfly.settings.sources import CONFIG_VARIABLE, PREFIX

COMMAND = (sys.executable, "-P", "-m", "mayfly", "consume")
_LOOK_SECONDS = 0.5


def consume(config: Path | None, options: Mapping[str, Any], tether: int | None, leaving: Leaving) -> None:
    """Consume until told to stop. `tether`: the reading end of a pipe; stop, too, when its other end is closed.

    Raises:
        Misconfigured: with every fault there is; what the broker refuses us for is one.
    """
    settings = Settings.load(config, options, os.environ)
    configure(settings.log_format)
    forbid_core_dumps()
    leaving.unless_told()
    owner = _Tether(tether)
    try:
        _consume(settings, owner, leaving)
    except Misconfigured as fault:
        if tether is None:
            raise
        # Who started us reads no lines of ours, but the log.
        _leave_with(fault)


def environment_of(config: Path | None, options: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which another command finds the settings that these options give: none holds a secret."""
    given = {f"{PREFIX}{name.upper()}": _text(value) for name, value in options.items() if value is not None}
    return {**environ, **given, **({CONFIG_VARIABLE: str(config)} if config is not None else {})}


class _Tether:
    """Ends this process when the owner that started it is gone: at once while nothing is in hand, else in an orderly
    way."""

    def __init__(self, descriptor: int | None) -> None:
        self.ending: Ending | None = None
        if descriptor is not None:
            threading.Thread(target=self._hang_on, args=(descriptor,), name="tether", daemon=True).start()

    def _hang_on(self, descriptor: int) -> None:
        os.read(descriptor, 1)  # nobody writes: it returns when the other end is closed
        if self.ending is None:
            os._exit(0)
        self.ending.begin()


def _consume(settings: Settings, owner: _Tether, leaving: Leaving) -> None:
    if settings.kafka is None or not settings.topic:
        raise Misconfigured("kafka: nothing to consume: give --kafka HOST:PORT and --topic NAME, or set both")
    need_client(settings)
    from mayfly.wiring.consumer import consuming  # only now: it imports that client

    with consuming(settings, os.environ) as consumer:
        ending = Ending((consumer,), journal)
        leaving.unless_told()
        leaving.left_to_others = True
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ending.begin())
        owner.ending = ending
        journal("started")
        consumer.start()
        while not consumer.wait(_LOOK_SECONDS):
            pass
        ended = ending.wait()
        journal("stopped")
        if consumer.fault is not None:
            raise consumer.fault
        if not ended:
            ending.leave_now()


def _leave_with(fault: Misconfigured) -> NoReturn:
    for line in fault.faults:
        journal("misconfigured", reason=line)
    raise SystemExit(MISCONFIGURED)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)
