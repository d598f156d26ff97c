"""Our membership in a consumer group: what we hold, under which tenure, and librdkafka's consumer, made anew when dead.

The broker's own protocol for groups (KIP-848, `group.protocol=consumer`) is tried first. librdkafka says by a fatal
error that the broker has not got it; then the older one is used, in its cooperative form.
"""

import itertools
import math
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.refusals import Refusals, Tell
from mayfly.adapters.kafka.resets import logger_of
from mayfly.model.errors import Misconfigured
from mayfly.model.stream import Partition

READ_AHEAD_KIB = 16 * 1024
"""What librdkafka holds of records that `poll` has not given yet. One fetch may come on top of it."""
COMMIT_MS = 500
MOST_SILENCE_MS = 300_000
"""How long `poll` may stay uncalled before the group takes the partitions away: a stopped process's are needed."""
CLOSE_SECONDS = 4.0
_AGAIN_SECONDS = 1.0
"""Between two consumers: one that dies at once is not made anew in a loop."""

_NO_SUCH_PROTOCOL = (
    KafkaError._UNSUPPORTED_FEATURE,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
)
_SETTINGS = {
    "ssl.ca.location": "kafka_ca",
    "ssl.certificate.location": "kafka_certificate",
    "ssl.key.location": "kafka_key",
}
"""As librdkafka calls them, and we."""
_NEW_PROTOCOL: dict[str, Any] = {"group.protocol": "consumer"}
_OLD_PROTOCOL: dict[str, Any] = {
    "group.protocol": "classic",
    "partition.assignment.strategy": "cooperative-sticky",
    # Longer than a broker's restart takes, so that one moves no partition.
    "session.timeout.ms": 45_000,
}


def consumer_properties(group: str) -> dict[str, Any]:
    """Reading that commits what is settled, and nothing else."""
    return {
        "group.id": group,
        "enable.auto.commit": True,
        "auto.commit.interval.ms": COMMIT_MS,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "allow.auto.create.topics": False,
        "check.crcs": True,
        "max.poll.interval.ms": MOST_SILENCE_MS,
        "queued.max.messages.kbytes": READ_AHEAD_KIB,
        "fetch.max.bytes": READ_AHEAD_KIB * 1024,
        "fetch.message.max.bytes": 1024 * 1024,
        # How long a full queue keeps a partition from being fetched: with so short a queue, a second would be felt.
        "fetch.queue.backoff.ms": 20,
        "fetch.wait.max.ms": 200,
    }


class Membership:
    """One thread uses it. `held` ascends in tenure: no number is given twice."""

    def __init__(self, connection: Connection, group: str, topics: Sequence[str], refusals: Refusals, tell: Tell):
        self._properties = connection.properties() | consumer_properties(group)
        self._protocol = _NEW_PROTOCOL
        self._topics = list(topics)
        self._refusals = refusals
        self._tell = tell
        self._tenures = itertools.count(1)
        self._held: dict[Partition, int] = {}
        self._settled: dict[Partition, int] = {}
        self._astray: dict[Partition, int] = {}
        """Of partitions that were begun anew under their present tenure: the offset at which there was no record."""
        self._assigned = False
        self._consumer: Consumer | None = None
        self._not_before = 0.0
        self._fatal: KafkaError | None = None

    @property
    def held(self) -> Mapping[Partition, int]:
        return dict(self._held)

    def poll(self, seconds: float) -> tuple[Message, int] | None:
        """The next record, and the tenure of its partition.

        Raises:
            Misconfigured: before the first assignment alone: we are refused.
        """
        consumer = self._alive(seconds)
        if consumer is None:
            return None
        try:
            message = consumer.poll(seconds)
        except KafkaException as fault:
            self._met(fault.args[0])
            return None
        if not self._assigned:
            self._refusals.check()
        if self._fatal is not None:
            self._renew(self._fatal)
            return None
        if message is None:
            return None
        if (error := message.error()) is not None:
            self._met(error, message.topic())
            return None
        tenure = self._held.get(partition_of(message))
        return None if tenure is None else (message, tenure)

    def pause(self, partitions: Collection[Partition]) -> None:
        if self._consumer is not None and (ours := self._ours(partitions)):
            self._consumer.pause(ours)

    def resume(self, partitions: Collection[Partition]) -> None:
        if self._consumer is not None and (ours := self._ours(partitions)):
            self._consumer.resume(ours)

    def settle(self, partition: Partition, tenure: int, offset: int) -> None:
        if self._consumer is None or self._held.get(partition) != tenure:
            return
        astray, before = self._astray.get(partition), self._settled.get(partition, 0)
        if astray is None and offset <= before:
            return
        place = [TopicPartition(partition.topic, partition.number, offset)]
        try:
            self._consumer.store_offsets(offsets=place)
            if astray is not None and offset < max(astray, before):
                # Back: of itself librdkafka commits only what is beyond its last commit. With that one left standing,
                # a crash would have us go on there, past what nobody settled.
                self._consumer.commit(offsets=place, asynchronous=True)
        except KafkaException as fault:
            # It is being taken away in this moment. Whoever gets it does the same records again.
            self._refusals.note(fault.args[0])
            return
        self._settled[partition] = offset

    def close(self) -> None:
        """Commits what is settled and leaves the group. `poll` gives nothing any more."""
        self._not_before = math.inf
        self._drop()

    def _drop(self) -> None:
        """A consumer that nobody closes hangs in its destructor; one whose brokers are away closes for most of a
        minute. So it is closed, and nobody waits longer than is worth it."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            closing = threading.Thread(target=consumer.close, name="kafka-closing", daemon=True)
            closing.start()
            closing.join(CLOSE_SECONDS)
        self._held.clear()

    def _alive(self, seconds: float) -> Consumer | None:
        if self._consumer is None:
            wait = self._not_before - time.monotonic()
            if wait > 0:
                # Nothing wakes it: who wants to stop looks after each poll.
                threading.Event().wait(min(wait, seconds))
                return None
            heard = {"error_cb": self._erred, "logger": logger_of(self._begins_anew)}
            self._consumer = make(Consumer, self._properties | self._protocol | heard)
            self._consumer.subscribe(self._topics, on_assign=self._come, on_revoke=self._gone, on_lost=self._gone)
        return self._consumer

    def _come(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._assigned = True
        consumer.incremental_assign(partitions)
        # librdkafka remembers a pause beyond the tenure in which it was asked for.
        consumer.resume(partitions)
        for one in partitions:
            partition = Partition(one.topic, one.partition)
            self._held[partition] = next(self._tenures)
            self._settled.pop(partition, None)
            self._astray.pop(partition, None)

    def _gone(self, _: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for one in partitions:
            self._held.pop(Partition(one.topic, one.partition), None)

    def _begins_anew(self, partition: Partition, offset: int) -> None:
        self._astray[partition] = offset
        self._tell(
            "stream_reset",
            partition=str(partition),
            reason=f"the topic has no record at offset {offset}, where the group was: its retention deleted what was "
            "not read yet, or the topic is another one now. Reading goes on at the oldest record there is",
        )

    def _met(self, error: KafkaError, topic: str | None = None) -> None:
        """What came in the place of a record."""
        self._erred(error, topic)
        if self._fatal is not None:
            self._renew(self._fatal)
        elif not self._assigned:
            self._refusals.check()

    def _erred(self, error: KafkaError, topic: str | None = None) -> None:
        self._refusals.note(error, topic)
        if error.fatal() or error.code() == KafkaError._FATAL:
            self._fatal = error

    def _renew(self, error: KafkaError) -> None:
        """A fatal error is for good: that consumer never reads again (librdkafka, `rd_kafka_fatal_error`)."""
        self._fatal = None
        # What was fatal is told in the text alone: the code is _FATAL.
        lacking = any(KafkaError(code).str() in error.str() for code in _NO_SUCH_PROTOCOL)
        if lacking and self._protocol is _NEW_PROTOCOL:
            self._protocol = _OLD_PROTOCOL
        else:
            self._not_before = time.monotonic() + _AGAIN_SECONDS
            self._tell("stream_consumer_renewed", reason=error.str())
        self._drop()

    def _ours(self, partitions: Collection[Partition]) -> list[TopicPartition]:
        return [TopicPartition(one.topic, one.number) for one in partitions if one in self._held]


def partition_of(message: Message) -> Partition:
    return Partition(str(message.topic()), int(message.partition() or 0))


def make(kind: Any, properties: Mapping[str, Any]) -> Any:
    """One of librdkafka's clients.

    Raises:
        Misconfigured: it does not take the properties: a file that is not there, a key without its certificate.
    """
    try:
        return kind(dict(properties))
    except KafkaException as fault:
        text = fault.args[0].str()
        for theirs, ours in _SETTINGS.items():
            text = text.replace(theirs, ours)
        password = properties.get("sasl.password") or properties.get("sasl.oauthbearer.client.secret")
        raise Misconfigured(f"kafka: {text.replace(password, '***') if password else text}") from None
