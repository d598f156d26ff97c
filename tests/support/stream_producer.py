"""Writes a campaign's messages in the background, and keeps what the topic made of each."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from confluent_kafka import KafkaException

from support.server import until
from support.stream_checker import Sent
from support.stream_plan import Planned
from support.topics import Topics, header

SETTINGS: dict[str, Any] = {
    # Each message once, in order, however often the broker is killed.
    "enable.idempotence": True,
    "queue.buffering.max.kbytes": 65_536,
    "delivery.timeout.ms": 600_000,
}
FLUSH_SECONDS = 300.0


@dataclass
class Writer:
    """`sent` grows as messages become durable."""

    topics: Topics
    topic: str
    messages: Iterator[Planned]
    sent: list[Sent] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    seconds: float = 0.0
    """How long it took to write all."""
    _faults: list[BaseException] = field(default_factory=list)

    @contextlib.contextmanager
    def writing(self, ahead: int) -> Iterator["Writer"]:
        """Goes on when so many are durable, and writes the rest meanwhile.

        Raises:
            KafkaException: a message was refused.
        """
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            until(lambda: len(self.sent) >= ahead or self.done.is_set(), "messages in the topic")
            yield self
        finally:
            thread.join()
            for fault in self._faults:
                raise fault

    def _run(self) -> None:
        begun = time.monotonic()
        try:
            self._write()
        except BaseException as fault:
            self._faults.append(fault)
        finally:
            self.seconds = time.monotonic() - begun
            self.done.set()

    def _write(self) -> None:
        producer = self.topics.producer(**SETTINGS)
        for planned in self.messages:
            message = planned.message
            value = message.value or b""
            sha256 = hashlib.sha256(value).hexdigest()
            # Of the message itself nothing is held: the producer's own bound would be none.
            event = (header(message, "ce_id") or b"").decode()
            about = Sent("", sha256, len(value), planned.kind, planned.fate, planned.reason, event)
            told: dict[str, Any] = {
                "topic": self.topic,
                "value": message.value,
                "headers": list(message.headers),
                "partition": message.partition,
                "timestamp": message.timestamp,
                "on_delivery": partial(self._note, about),
            }
            while not self._took(producer, told):
                producer.poll(0.1)
            producer.poll(0)
        if producer.flush(FLUSH_SECONDS):
            raise TimeoutError("not everything could be written")

    @staticmethod
    def _took(producer: Any, told: dict[str, Any]) -> bool:
        try:
            producer.produce(**told)
        except BufferError:
            return False
        return True

    def _note(self, about: Sent, fault: Any, record: Any) -> None:
        if fault is None:
            self.sent.append(replace(about, key=f"{record.topic()}/{record.partition()}/{record.offset()}"))
        else:
            self._faults.append(KafkaException(fault))
