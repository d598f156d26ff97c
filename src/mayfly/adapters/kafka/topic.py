"""A look at a cluster and at topics of it. Changes nothing, makes no topic, joins no group."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from confluent_kafka import (
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import ConfigResource, OffsetSpec, ResourceType, TopicDescription

from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.reach import ANSWER_SECONDS, Reach
from mayfly.adapters.kafka.readers import Readers, Reading
from mayfly.model.instant import Ms
from mayfly.model.stream import Partition
from mayfly.model.topic import UNLIMITED, ClusterState, TopicState

_NO_LIMIT = 2**63 - 1
"""As Kafka writes it."""


def look(connection: Connection, group: str, topics: Collection[str]) -> ClusterState:
    """The cluster and these topics, as it shows them to us. `group` is ours.

    Raises:
        Misconfigured: the cluster refuses us, we do not trust it, or a file that the connection names cannot be used.
        Unavailable: it does not answer.
    """
    return _Looking(connection).at(group, topics)


class _Looking:
    def __init__(self, connection: Connection) -> None:
        self._reach = Reach(connection)
        self._admin = self._reach.admin
        self._readers = Readers(connection, lambda _: None)

    def at(self, group: str, topics: Collection[str]) -> ClusterState:
        brokers = [str(node.id) for node in self._reach.let_in().nodes]
        asked = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=ANSWER_SECONDS)
        kept: dict[str, TopicState] = {}
        missing, unseen = set(), {}

        def note(name: str, fault: KafkaError) -> None:
            if fault.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                missing.add(name)
            else:
                unseen[name] = self._reach.said(fault)

        described: list[TopicDescription] = []
        for name, future in asked.items():
            try:
                described.append(future.result())
            except KafkaException as fault:
                note(name, fault.args[0])
        places = [Partition(topic.name, each.id) for topic in described for each in topic.partitions]
        reading = self._readers.beside(group, places, self._admin) if places else Reading()
        for topic in described:
            try:
                kept[topic.name] = self._topic(topic, reading)
            except KafkaException as fault:
                note(topic.name, fault.args[0])
        return ClusterState(len(brokers), *self._of_brokers(brokers), kept, frozenset(missing), unseen)

    def _of_brokers(self, brokers: Collection[str]) -> tuple[int | None, bool | None]:
        """How often they look for what is over age, and whether they make topics; None is not told (a managed cluster
        keeps it to itself, or we have no right to it)."""
        intervals, makers = [], []
        for broker in brokers:
            try:
                settings = self._settings(ResourceType.BROKER, broker)
            except KafkaException:
                continue
            if told := settings.get("log.retention.check.interval.ms"):
                intervals.append(int(told))
            if told := settings.get("auto.create.topics.enable"):
                makers.append(told == "true")
        return max(intervals, default=None), any(makers) if makers else None

    def _topic(self, described: TopicDescription, reading: Reading) -> TopicState:
        settings = self._settings(ResourceType.TOPIC, described.name)
        partitions = [TopicPartition(described.name, each.id) for each in described.partitions]

        def whole(name: str, default: int) -> int:
            return int(settings.get(name) or default)

        # Before Kafka 3.6 one setting bounded both directions.
        both = whole("message.timestamp.difference.max.ms", _NO_LIMIT)
        return TopicState(
            name=described.name,
            partitions=len(partitions),
            replication_factor=min((len(each.replicas) for each in described.partitions), default=0),
            min_insync_replicas=whole("min.insync.replicas", 1),
            retention_ms=whole("retention.ms", UNLIMITED),
            retention_bytes=whole("retention.bytes", UNLIMITED),
            segment_ms=whole("segment.ms", _NO_LIMIT),
            delete_delay_ms=whole("file.delete.delay.ms", 0),
            cleanup_policy=frozenset(filter(None, (settings.get("cleanup.policy") or "").split(","))),
            append_time=settings.get("message.timestamp.type") == "LogAppendTime",
            after_max_ms=whole("message.timestamp.after.max.ms", both),
            before_max_ms=whole("message.timestamp.before.max.ms", both),
            max_message_bytes=whole("max.message.bytes", 0),
            unclean_leader_election=settings.get("unclean.leader.election.enable") == "true",
            readers=reading.groups.get(described.name, ()),
            readers_untold=reading.untold,
            oldest=dict(self._oldest(partitions)),
        )

    def _settings(self, kind: ResourceType, name: str) -> Mapping[str, str | None]:
        (answer,) = self._admin.describe_configs([ConfigResource(kind, name)], request_timeout=ANSWER_SECONDS).values()
        return {name: entry.value for name, entry in answer.result().items()}

    def _oldest(self, partitions: Sequence[TopicPartition]) -> Iterator[tuple[int, Ms]]:
        """By partition, the timestamp of the first record there is that has one."""
        wanted = dict.fromkeys(partitions, OffsetSpec.for_timestamp(0))
        for place, answer in self._admin.list_offsets(wanted, request_timeout=ANSWER_SECONDS).items():
            with contextlib.suppress(KafkaException):
                found = answer.result()
                if found.offset >= 0:
                    yield place.partition, Ms(found.timestamp)
