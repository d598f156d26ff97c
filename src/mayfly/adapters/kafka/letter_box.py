"""Writing to the topic of dead letters: each is durable on every replica in step before the call returns."""

import json
import threading
import time
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.membership import make
from mayfly.adapters.kafka.refusals import Refusals
from mayfly.adapters.kafka.rights import lacking
from mayfly.model.errors import Unavailable
from mayfly.model.stream import Letter

WRITE_SECONDS = 15.0
"""librdkafka gives up after this, and tells so."""
_SLACK_SECONDS = 5.0
_SLICE_SECONDS = 0.1


class _Delivery:
    """What became of one record."""

    def __init__(self) -> None:
        self.told = False
        self.error: KafkaError | None = None

    def note(self, error: KafkaError | None, _: Message) -> None:
        self.error = error
        self.told = True


class LetterBox:
    """Threads may share it. The producer is made with the first letter."""

    def __init__(self, connection: Connection, topic: str, refusals: Refusals) -> None:
        self._connection = connection
        self._properties: dict[str, Any] = connection.properties() | {
            "acks": "all",
            "enable.idempotence": True,
            "delivery.timeout.ms": int(WRITE_SECONDS * 1000),
            "allow.auto.create.topics": False,
            "linger.ms": 0,
            "error_cb": refusals.note,
        }
        self._topic = topic
        self._lock = threading.Lock()
        self._producer: Producer | None = None
        self._closed = False

    def write(self, letter: Letter) -> None:
        """
        Raises:
            Unavailable: it is not durable, or nobody knows.
        """
        producer, delivery = self._open(), _Delivery()
        try:
            producer.produce(
                self._topic,
                key=letter.key.encode(),
                value=rendered(letter),
                headers=[("content-type", b"application/json")],
                on_delivery=delivery.note,
            )
        except (KafkaException, BufferError) as fault:
            raise Unavailable(f"the dead letter {letter.key} was not written: {fault}") from None
        deadline = time.monotonic() + WRITE_SECONDS + _SLACK_SECONDS
        while not delivery.told and not self._closed and time.monotonic() < deadline:
            # Reports come to whoever polls, for all who wait.
            producer.poll(_SLICE_SECONDS)
        if not delivery.told:
            raise Unavailable(f"the dead letter {letter.key}: nobody knows whether it was written")
        if delivery.error is not None:
            self._renew_if_dead(producer, delivery.error)
            raise Unavailable(f"the dead letter {letter.key} was not written: {self._said(delivery.error)}")

    def _said(self, error: KafkaError) -> str:
        if error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED):
            return lacking(self._connection, "Write", "topic", self._topic)
        return str(error.str())

    def serve(self) -> None:
        """Let it tell what it has to tell, so that nothing heaps up while no letter is written."""
        with self._lock:
            if self._producer is not None:
                self._producer.poll(0)

    def close(self) -> None:
        self._closed = True
        with self._lock:
            self._producer = None

    def _open(self) -> Producer:
        with self._lock:
            if self._closed:
                raise Unavailable("the stream is closed")
            if self._producer is None:
                self._producer = make(Producer, self._properties)
            return self._producer

    def _renew_if_dead(self, producer: Producer, error: KafkaError) -> None:
        """An idempotent producer that lost count is of no use any more (`_FATAL`)."""
        if error.code() == KafkaError._FATAL or error.fatal():
            with self._lock:
                if self._producer is producer:
                    self._producer = None


def rendered(letter: Letter) -> bytes:
    """The record's value: a pointer, in JSON. `attempt` is 1 for the first death."""
    at = letter.at
    died_at = datetime.fromtimestamp(letter.died_at / 1000, UTC)
    return json.dumps(
        {
            "key": letter.key,
            "topic": at and at.partition.topic,
            "partition": at and at.partition.number,
            "offset": at and at.offset,
            "reason": letter.reason,
            "image_id": letter.image_id and str(letter.image_id),
            "attempt": letter.redrives + 1,
            "died_at": died_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
    ).encode()
