"""The composition root of a consumer: the same intake as the owner's, over a line to the owner.

Objects are stored here, under the same folder; keys, records and the time are asked for.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from mayfly.adapters.kafka.image_stream import KafkaImageStream, Subscription
from mayfly.adapters.local.claim_source import LocalClaimSource
from mayfly.adapters.local.object_store import LocalObjectStore
from mayfly.adapters.local.owner_socket import NAME, short_path
from mayfly.adapters.owner.admissions import OwnerAdmissions
from mayfly.adapters.owner.clock import OwnerClock
from mayfly.adapters.owner.dead_letters import OwnerDeadLetters
from mayfly.adapters.owner.figures import OwnerFigures
from mayfly.adapters.owner.keys import OwnerKeys
from mayfly.adapters.owner.line import OwnerLine
from mayfly.adapters.owner.under_way import OwnerUnderWay
from mayfly.entrypoints.consumer import Consumer
from mayfly.entrypoints.consumer_report import reporting
from mayfly.intake.intake import Intake
from mayfly.intake.stream import StreamDoor
from mayfly.journal import journal
from mayfly.model.claim import ClaimPrefix
from mayfly.model.errors import Misconfigured, Unavailable
from mayfly.settings import Settings
from mayfly.vault.vault import Vault
from mayfly.wiring.kafka import connection_of

OWNER_SECONDS = 15.0
"""How long an owner is waited for at the start: it may be starting, too."""


@contextlib.contextmanager
def consuming(settings: Settings, environ: Mapping[str, str]) -> Iterator[Consumer]:
    """A consumer of the topics, not started.

    Raises:
        Unavailable: no owner of the data folder answers.
        Misconfigured: the owner takes no consumer such as this; or Kafka's settings cannot be used.
    """
    with contextlib.ExitStack() as open_things:
        _refuse_another_user(settings.data)
        line = OwnerLine(partial(short_path, settings.data))
        open_things.callback(line.close)
        try:
            line.open(OWNER_SECONDS)
        except Unavailable as fault:
            raise Unavailable(
                f"a consumer needs its owner: start `mayfly up --data {settings.data}` first ({fault})"
            ) from None
        # Once more: it may not have stood before.
        _refuse_another_user(settings.data)
        clock = OwnerClock(line)
        keys = OwnerKeys(line, clock)
        letters = OwnerDeadLetters(line)
        # The owner has made the folder; it would be made here, otherwise, as nobody's.
        objects = LocalObjectStore(settings.data / "objects", clock)
        vault = Vault(objects, keys, clock)
        intake = Intake(vault, objects, OwnerAdmissions(line), keys, clock, OwnerUnderWay(line, keys), journal)
        claims = LocalClaimSource(_prefixes(settings))
        subscription = Subscription(settings.topic, settings.kafka_group, settings.kafka_dead_letters)
        stream = KafkaImageStream(connection_of(settings, environ), subscription, journal)
        door = StreamDoor(intake, letters, line.terms, claims)
        consumer = Consumer(
            stream, door.take, letters, clock, journal, memory=settings.kafka_memory, trim=settings.kafka_trim
        )
        with reporting(consumer.figures, OwnerFigures(line).tell):
            yield consumer


def _refuse_another_user(folder: Path) -> None:
    """Raise Misconfigured if the owner runs as another user: what we stored it could neither open nor remove. The
    socket lets root ask, too."""
    try:
        user = (folder / NAME).stat().st_uid
    except FileNotFoundError:
        return
    except PermissionError:
        user = None
    if user != os.geteuid():
        whom = "another user" if user is None else f"the user with the id {user}"
        raise Misconfigured(
            f"data: the owner of {folder} runs as {whom}, and this is the user with the id {os.geteuid()}: "
            "run `mayfly consume` as the same user as `mayfly up`"
        )


def _prefixes(settings: Settings) -> list[ClaimPrefix]:
    """Those whose files stay come first: of a folder that is named twice the stricter word holds."""
    external = settings.kafka_claims_external
    return [ClaimPrefix(folder, external=True) for folder in external] + [
        ClaimPrefix(folder) for folder in settings.kafka_claims if folder not in external
    ]
