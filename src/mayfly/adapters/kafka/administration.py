"""What is asked of the brokers beside reading and writing: which topics there are, how far they reach, what may go.

Each question has a client of its own, thrown away afterwards. One that lives through an outage is of no use (seen with
librdkafka 2.16): it asks for offsets by a leader's epoch of before for ever, hears of groups no more, and an answer
that comes after its time aborts the process (librdkafka issue 4605).
"""

import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from confluent_kafka import (
    KafkaError,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AclOperation, AdminClient, NewTopic, OffsetSpec

from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.membership import make
from mayfly.adapters.kafka.readers import CALL_SECONDS, Readers, answered, fault_of
from mayfly.adapters.kafka.refusals import Refusals
from mayfly.adapters.kafka.rights import Operation, lacking
from mayfly.model.errors import Conflict, Misconfigured, Unavailable
from mayfly.model.instant import Ms
from mayfly.model.stream import Partition, Survey

_SLICE_SECONDS = 0.1
DEAD_LETTER_CONFIG = {
    "cleanup.policy": "delete",
    # What a letter points at is gone after seven days; a segment is closed each hour, so that it goes soon after.
    "retention.ms": str(7 * 24 * 60 * 60 * 1000),
    "segment.ms": str(60 * 60 * 1000),
    "message.timestamp.type": "LogAppendTime",
}
"""With which the topic of the dead letters is made, in one partition and with the broker's number of replicas."""

_FORBIDDEN = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.POLICY_VIOLATION,
)

K = TypeVar("K")


class Administration:
    """Threads may share it."""

    def __init__(self, connection: Connection, refusals: Refusals) -> None:
        self._connection = connection
        self._properties = connection.properties() | {"error_cb": refusals.note}
        self._refusals = refusals
        self._readers = Readers(connection, refusals.note)
        self._asked: tuple[AdminClient, Mapping[str, Future[Any]]] | None = None
        # What can be told wrong now is told now: a file that is not there. Kept for the first question: thrown away, it
        # would hold up whoever starts us, deaf to signals, for as long as a name server does not answer.
        self._first: AdminClient | None = make(AdminClient, self._properties)

    def _client(self) -> AdminClient:
        first, self._first = self._first, None
        client: AdminClient = first or make(AdminClient, self._properties)
        return client

    def topics_are_there(self, topics: Collection[str], dead_letters: str, seconds: float) -> bool:
        """Whether all are there, the dead letters' after it was made if need be. False: the brokers do not answer.

        Raises:
            Misconfigured: one is not, or we are refused, or not let use one as we have to.
        """
        if self._asked is None:
            client = self._client()
            wanted = TopicCollection([*topics, dead_letters])
            self._asked = (
                client,
                client.describe_topics(wanted, include_authorized_operations=True, request_timeout=CALL_SECONDS),
            )
        # The question outlasts this call: being refused takes longer than a short poll.
        client, asked = self._asked
        deadline = time.monotonic() + seconds
        while wait(asked.values(), timeout=_SLICE_SECONDS).not_done and time.monotonic() < deadline:
            client.poll(0)
            self._refusals.check()
        client.poll(0)
        self._refusals.check()
        if not all(future.done() for future in asked.values()):
            return False
        self._asked = None
        faults = {name: fault_of(future) for name, future in asked.items()}
        missing = [name for name, fault in faults.items() if fault == KafkaError.UNKNOWN_TOPIC_OR_PART]
        if absent := [name for name in missing if name != dead_letters]:
            raise Misconfigured(
                *(f"topic: the broker has no topic {name}: make it, or name another" for name in absent)
            )
        self._must_be_allowed(asked, dead_letters)
        if dead_letters in missing:
            self._make(client, dead_letters)
            return False
        if any(fault is not None for fault in faults.values()):
            return False
        self._refusals.accepted()
        return True

    def survey(self, group: str, partitions: Collection[Partition]) -> list[Survey]:
        """Asks for everything at once. The oldest record's time is that of the first one that has any."""
        places = [TopicPartition(one.topic, one.number) for one in partitions]
        if not places:
            return []
        specs = (OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.for_timestamp(0))
        client = self._client()
        asked = [client.list_offsets(dict.fromkeys(places, spec), request_timeout=CALL_SECONDS) for spec in specs]
        committed = self._readers.committed(group, partitions)
        if committed is None:
            return []
        earliest, latest, oldest = ({_as_partition(k): answered(v) for k, v in one.items()} for one in asked)
        return [
            Survey(
                one,
                earliest[one].offset,
                latest[one].offset,
                committed.get(one),
                Ms(oldest[one].timestamp) if oldest[one].offset >= 0 else None,
            )
            for one in partitions
            if None not in (earliest[one], latest[one], oldest[one])
        ]

    def trim(self, group: str, bounds: Mapping[Partition, int]) -> None:
        """As `ports.image_stream.ImageStream.trim` says."""
        client = self._client()
        reading = self._readers.beside(group, bounds, client)
        if others := [name for groups in reading.groups.values() for name in groups]:
            raise Conflict(
                f"nothing is trimmed: other groups read the topic, such as {others[0]}. Set kafka_trim to false"
            )
        if reading.untold is not None:
            raise Unavailable(f"nothing is trimmed: {reading.untold}")
        surveyed = self.survey(group, bounds)
        lowered = {
            one.partition: min(bounds[one.partition], one.committed or 0, one.latest)
            for one in surveyed
            if min(bounds[one.partition], one.committed or 0) > one.earliest
        }
        if len(surveyed) < len(bounds):
            raise Unavailable("the brokers do not tell how far the topic reaches")
        if not lowered:
            return
        places = [TopicPartition(one.topic, one.number, offset) for one, offset in lowered.items()]
        for place, future in client.delete_records(places, request_timeout=CALL_SECONDS).items():
            if (code := fault_of(future)) in _FORBIDDEN:
                raise Conflict(f"nothing is trimmed: {lacking(self._connection, 'Delete', 'topic', place.topic)}")
            if code is not None:
                raise Unavailable(f"not trimmed: {KafkaError(code).str()}")

    def _must_be_allowed(self, asked: "Mapping[str, Future[Any]]", dead_letters: str) -> None:
        """
        Raises:
            Misconfigured: we may not read a topic, or not write to the dead letters'.
        """
        needs: dict[str, tuple[Operation, AclOperation]] = dict.fromkeys(asked, ("Read", AclOperation.READ))
        needs[dead_letters] = ("Write", AclOperation.WRITE)
        faults = []
        for name, (operation, needed) in needs.items():
            fault, told = fault_of(asked[name]), answered(asked[name])
            # A broker that knows no rights tells none.
            if fault == KafkaError.TOPIC_AUTHORIZATION_FAILED or (told is not None and _denied(told, needed)):
                faults.append(f"kafka: {lacking(self._connection, operation, 'topic', name)}")
        if faults:
            raise Misconfigured(*faults)

    def _make(self, client: AdminClient, dead_letters: str) -> None:
        """
        Raises:
            Misconfigured: we may not.
        """
        topic = NewTopic(dead_letters, 1, -1, config=DEAD_LETTER_CONFIG)
        made = client.create_topics([topic], request_timeout=CALL_SECONDS)[dead_letters]
        if (code := fault_of(made)) in _FORBIDDEN:
            allowing = lacking(self._connection, "Create", "topic", dead_letters)
            raise Misconfigured(
                f"kafka_dead_letters: there is no topic {dead_letters} ({KafkaError(code).str()}): make it, or name "
                f"another. To let us make it: {allowing}"
            )


def _denied(told: Any, needed: AclOperation) -> bool:
    """Whether the brokers told what we may do, and it is not this."""
    return bool(told.authorized_operations) and needed not in told.authorized_operations


def _as_partition(place: TopicPartition) -> Partition:
    return Partition(place.topic, place.partition)
