"""Writing images to a topic: what `mayfly produce` does, and what any producer has to."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicCollection

from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.reach import ANSWER_SECONDS, Reach
from mayfly.model.errors import Misconfigured, Unavailable

Done = Callable[[str | None], None]
"""Told once a message's fate is known: None, or why it was not written."""

_QUEUE_KIB = 64 * 1024
"""What waits for the brokers at most, in memory. The library's default is a gibibyte."""
_MESSAGE_MS = 60_000
_POLL_SECONDS = 0.1
_FLUSH_SECONDS = _MESSAGE_MS / 1000 + 5.0


class ImageProducer:
    """Each message is written once, in the order of sending within its partition, and acknowledged by every replica in
    sync. One thread uses it."""

    def __init__(self, connection: Connection, topic: str, largest: int) -> None:
        """`largest` is the largest message in bytes, headers included.

        Raises:
            Misconfigured: the client library refuses the settings, or the brokers us; the topic does not exist.
            Unavailable: no broker answers.
        """
        self._connection = connection
        self._topic = topic
        reach = Reach(connection)
        reach.let_in()
        self._must_exist(reach)
        properties: dict[str, Any] = {
            "message.max.bytes": largest,
            "queue.buffering.max.kbytes": _QUEUE_KIB,
            "enable.idempotence": True,
            "message.timeout.ms": _MESSAGE_MS,
        }
        self._producer = Producer(connection.properties() | properties)

    def send(self, key: str, headers: Mapping[str, str], value: bytes, done: Done) -> None:
        """Hand a message over; waits while too much is under way. Its time is now: that is the image's birth."""

        def on_delivery(fault: KafkaError | None, _: Message) -> None:
            done(None if fault is None else self._said(fault))

        pairs: list[tuple[str, str | bytes | None]] = [(name, text.encode()) for name, text in headers.items()]
        while True:
            try:
                self._producer.produce(self._topic, value, key.encode(), headers=pairs, on_delivery=on_delivery)
            except BufferError:
                self._producer.poll(_POLL_SECONDS)
            except KafkaException as fault:
                done(self._said(fault.args[0]))
                return
            else:
                self._producer.poll(0)
                return

    def rest(self, seconds: float) -> None:
        """Wait so long, and hear meanwhile what became of messages."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._producer.poll(min(left, _POLL_SECONDS))

    def finish(self) -> int:
        """Wait until the fate of every message is known; of how many it is not."""
        return int(self._producer.flush(_FLUSH_SECONDS))

    def _must_exist(self, reach: Reach) -> None:
        asked = reach.admin.describe_topics(TopicCollection([self._topic]), request_timeout=ANSWER_SECONDS)
        try:
            asked[self._topic].result()
        except KafkaException as fault:
            if fault.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise Misconfigured(
                    f"topic: there is no {self._topic} at {self._connection.servers}; "
                    "`mayfly doctor` prints the command that makes it"
                ) from None
            raise Unavailable(f"topic {self._topic}: {reach.said(fault.args[0])}") from None

    def _said(self, fault: KafkaError) -> str:
        return self._connection.without_secrets(str(fault.str()))
