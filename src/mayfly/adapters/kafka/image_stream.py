"""A stream of images from Kafka. What the rights of its user have to be (READ, WRITE and DELETE let it DESCRIBE, too):

- READ on the topics and on the group;
- WRITE on the topic of the dead letters, and CREATE if it is not there;
- with `trim`, DELETE on the topics, and DESCRIBE on the cluster and on all groups.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from mayfly.adapters.kafka.administration import Administration
from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.letter_box import LetterBox
from mayfly.adapters.kafka.membership import Membership, partition_of
from mayfly.adapters.kafka.refusals import Refusals, Tell
from mayfly.model.instant import Ms
from mayfly.model.stream import UNREADABLE_HEADERS, Coordinates, Letter, Partition, StreamRecord, Survey

_SERVE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Subscription:
    """What is read, as whom, and where what cannot be taken is told."""

    topics: tuple[str, ...]
    group: str = "mayfly"
    dead_letters: str = "mayfly.deadletters"


class KafkaImageStream:
    """Implements `ports.image_stream.ImageStream`. `tell` hears of what the brokers refuse or fail to do."""

    def __init__(self, connection: Connection, subscription: Subscription, tell: Tell) -> None:
        """
        Raises:
            Misconfigured: librdkafka does not take the connection as described: a file is missing, for one.
        """
        refusals = Refusals(connection, subscription.group, tell)
        self._subscription = subscription
        self._administration = Administration(connection, refusals)
        self._letter_box = LetterBox(connection, subscription.dead_letters, refusals)
        self._membership = Membership(connection, subscription.group, subscription.topics, refusals, tell)
        self._topics_are_there = False
        self._served = 0.0
        self._closed = False

    def poll(self, seconds: float) -> StreamRecord | None:
        self._serve()
        if not self._topics_are_there:
            began = time.monotonic()
            self._topics_are_there = self._administration.topics_are_there(
                self._subscription.topics, self._subscription.dead_letters, seconds
            )
            seconds -= time.monotonic() - began
        if not self._topics_are_there:
            return None
        found = self._membership.poll(max(seconds, 0.0))
        return None if found is None else as_record(*found)

    def held(self) -> Mapping[Partition, int]:
        return self._membership.held

    def pause(self, partitions: Collection[Partition]) -> None:
        self._membership.pause(partitions)

    def resume(self, partitions: Collection[Partition]) -> None:
        self._membership.resume(partitions)

    def settle(self, partition: Partition, tenure: int, offset: int) -> None:
        self._membership.settle(partition, tenure, offset)

    def bury(self, letter: Letter) -> None:
        self._letter_box.write(letter)

    def survey(self, partitions: Collection[Partition]) -> list[Survey]:
        return self._administration.survey(self._subscription.group, partitions)

    def trim(self, bounds: Mapping[Partition, int]) -> None:
        self._administration.trim(self._subscription.group, bounds)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._membership.close()
            self._letter_box.close()

    def _serve(self) -> None:
        now = time.monotonic()
        if now - self._served >= _SERVE_SECONDS:
            self._served = now
            self._letter_box.serve()


def as_record(message: Message, tenure: int) -> StreamRecord:
    kind, timestamp = message.timestamp()
    return StreamRecord(
        at=Coordinates(partition_of(message), int(message.offset() or 0)),
        tenure=tenure,
        timestamp=None if kind == TIMESTAMP_NOT_AVAILABLE else Ms(timestamp),
        headers=_headers(message),
        value=message.value(),
    )


def _headers(message: Message) -> Sequence[tuple[str, bytes]]:
    try:
        told: Any = message.headers() or ()
    except (SystemError, UnicodeDecodeError):
        # confluent-kafka gives none of them if the name of one is no UTF-8.
        return UNREADABLE_HEADERS
    return [(str(name), value if isinstance(value, bytes) else b"") for name, value in told]
