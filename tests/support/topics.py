"""What tests do with topics of a broker: make them, write to them, read them, look at a group's offsets."""

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from support.server import until

LARGEST = 11_534_336
"""Bytes a topic made here takes: 10 MiB, and what a record adds to them."""
CALL_SECONDS = 30.0
PASSING = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._WAIT_COORD,
}

SILENT = logging.getLogger("support.topics")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
"""librdkafka tells of every lost connection on standard error, and tests lose many on purpose."""


@dataclass(frozen=True)
class Message:
    """A record to write, or one that was read. `timestamp` is ms since 1970; at writing, 0 is now."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    partition: int = -1
    offset: int = -1
    timestamp: int = 0


class Topics:
    """A running broker, wherever it runs."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._forgotten: list[AdminClient | None] = []

    def client(self, **settings: Any) -> dict[str, Any]:
        """The settings of a client of it."""
        return {"bootstrap.servers": self.bootstrap, "logger": SILENT, "allow.auto.create.topics": False, **settings}

    def admin(self) -> AdminClient:
        """One for all calls and threads: calls would end with it."""
        return self._admin

    def forget(self) -> None:
        """The broker was started anew: a client of before may wait for the old one's group coordinator in vain."""
        # Kept all the same: one that is let go while it waits for an answer takes the process with it.
        self._forgotten.append(self.__dict__.pop("_admin", None))

    @cached_property
    def _admin(self) -> AdminClient:
        return self._new_admin()

    def _new_admin(self) -> AdminClient:
        settings: dict[str, Any] = {"bootstrap.servers": self.bootstrap, "logger": SILENT}
        # A broker that was away is found again at once.
        return AdminClient({**settings, "reconnect.backoff.max.ms": 500})

    def serves(self) -> bool:
        """Whether it lists itself: one that is fenced still, after a start, is not listed."""
        admin = self._new_admin()
        try:
            return bool(admin.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def create_topic(self, name: str | None = None, partitions: int = 1, **config: str) -> str:
        """Make it, of one replica (`retention_ms="5000"` sets retention.ms), and wait until it can be used. Without a
        name it gets one that no other test has."""
        name = name or f"t-{uuid.uuid4().hex[:12]}"
        settings = {"max.message.bytes": str(LARGEST)} | {key.replace("_", "."): value for key, value in config.items()}
        admin = self.admin()
        admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(CALL_SECONDS)
        until(lambda: self._is_led(name, partitions), f"topic {name}")
        return name

    def alter(self, topic: str, settings: Mapping[str, str]) -> None:
        """Change settings of the topic; the others stay."""
        admin = self.admin()
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        admin.incremental_alter_configs([resource])[resource].result(CALL_SECONDS)

    def delete_topic(self, name: str) -> None:
        admin = self.admin()
        admin.delete_topics([name])[name].result(CALL_SECONDS)

    def describe(self, topic: str) -> dict[str, str]:
        """The topic's settings, those of the broker included."""
        admin = self.admin()
        resource = ConfigResource(ResourceType.TOPIC, topic)
        found = admin.describe_configs([resource])[resource].result(CALL_SECONDS)
        return {name: str(entry.value) for name, entry in found.items()}

    def producer(self, **settings: Any) -> Producer:
        """One that writes up to 10 MiB at once, durably, each message once."""
        return Producer(self.client(**{"message.max.bytes": LARGEST, **settings}))

    def produce(self, topic: str, *messages: Message | bytes) -> list[Message]:
        """Write all, and wait until they are durable; as they stand in the topic, in this order.

        Raises:
            KafkaException: the broker refused one.
        """
        producer, told = self.producer(), {}
        given = [message if isinstance(message, Message) else Message(message) for message in messages]
        for number, message in enumerate(given):

            def note(fault: Any, record: Any, number: int = number) -> None:
                told[number] = (fault, record)

            producer.produce(
                topic,
                value=message.value,
                key=message.key,
                headers=list(message.headers),
                partition=message.partition,
                timestamp=message.timestamp,
                on_delivery=note,
            )
            producer.poll(0)
        assert producer.flush(CALL_SECONDS) == 0, "not everything was written in time"
        for fault, _ in told.values():
            if fault is not None:
                raise KafkaException(fault)
        # What is told of a delivery leaves the headers out.
        return [replace(as_message(told[number][1]), headers=m.headers) for number, m in enumerate(given)]

    def _is_led(self, topic: str, partitions: int) -> bool:
        """Whether each partition has a leader that knows of it: listed it is before."""
        try:
            return len(self.bounds(topic)) == partitions
        except KafkaException:
            return False

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """By partition, the first offset there is and the next one to come."""
        admin = self.admin()
        partitions = [
            TopicPartition(topic, n) for n in admin.list_topics(topic, timeout=CALL_SECONDS).topics[topic].partitions
        ]
        ends: list[dict[int, int]] = []
        for end in (OffsetSpec.earliest(), OffsetSpec.latest()):
            asked = admin.list_offsets(dict.fromkeys(partitions, end))
            ends.append({place.partition: answer.result(CALL_SECONDS).offset for place, answer in asked.items()})
        return {n: (low, ends[1][n]) for n, low in ends[0].items()}

    def records(self, topic: str) -> list[Message]:
        """All that is in the topic now, by partition and offset, read without a group."""
        bounds = {n: (low, high) for n, (low, high) in self.bounds(topic).items() if low < high}
        settings = {"group.id": "looks-only", "enable.auto.commit": False, "enable.partition.eof": True}
        consumer, found = Consumer(self.client(**settings)), []
        try:
            consumer.assign([TopicPartition(topic, n, low) for n, (low, _) in bounds.items()])
            ended: set[int] = set()
            while len(ended) < len(bounds):
                record = consumer.poll(CALL_SECONDS)
                assert record is not None, f"{topic} gives nothing more"
                if (fault := record.error()) is None:
                    found.append(as_message(record))
                else:
                    # The end of a partition; anything else is a fault.
                    assert fault.code() == KafkaError._PARTITION_EOF, fault
                    ended.add(int(record.partition() or 0))
        finally:
            consumer.close()
        return sorted(found, key=lambda message: (message.partition, message.offset))

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """By partition, the offset the group goes on from; a partition it never committed is left out."""
        numbers = self.admin().list_topics(topic, timeout=CALL_SECONDS).topics[topic].partitions
        places = [TopicPartition(topic, number) for number in numbers]
        found = self._coordinated(group, lambda consumer: consumer.committed(places, CALL_SECONDS))
        return {place.partition: place.offset for place in found if place.offset >= 0}

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Set the group's offsets. It may have no member meanwhile."""
        places = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        self._coordinated(group, lambda consumer: consumer.commit(offsets=places, asynchronous=False))

    def lag(self, group: str, topic: str) -> int:
        """How many records the group has still to settle, over all partitions."""
        committed = self.committed(group, topic)
        return sum(high - committed.get(n, low) for n, (low, high) in self.bounds(topic).items())

    def members(self, group: str) -> list[str]:
        """The ids of the group's members."""
        admin = self.admin()

        def described() -> list[Any]:
            try:
                return [admin.describe_consumer_groups([group])[group].result(CALL_SECONDS)]
            except KafkaException as refusal:
                if refusal.args[0].code() in PASSING:
                    return []
                raise

        return [member.member_id for member in until(described, "the group's coordinator")[0].members]

    def _coordinated(self, group: str, ask: Callable[[Consumer], list[TopicPartition] | None]) -> list[TopicPartition]:
        """What the group's coordinator answers, once there is one: after a start it reads its log first.

        Asked by a consumer that is no member: the administrative client falls over a coordinator that is none yet
        (https://github.com/confluentinc/librdkafka/issues/5040).
        """
        consumer = Consumer(self.client(**{"group.id": group, "enable.auto.commit": False}))

        def answered() -> list[list[TopicPartition]]:
            try:
                places = list(ask(consumer) or ())
                faults = [place.error for place in places if place.error is not None]
            except KafkaException as refusal:
                places, faults = [], [refusal.args[0]]
            if not any(fault.code() not in PASSING for fault in faults):
                return [] if faults else [places]
            raise KafkaException(faults[0])

        try:
            answer: list[list[TopicPartition]] = until(answered, "the group's coordinator")
        finally:
            consumer.close()
        return answer[0]


def as_message(record: Any) -> Message:
    headers = tuple((name, value) for name, value in record.headers() or ())
    return Message(record.value(), record.key(), headers, record.partition(), record.offset(), record.timestamp()[1])


def header(message: Message, name: str) -> bytes | None:
    """The last header of that name, as Kafka counts them; None if there is none."""
    return next((value for key, value in reversed(message.headers) if key == name), None)
