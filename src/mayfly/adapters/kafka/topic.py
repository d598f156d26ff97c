"""A look at a cluster and at topics of it. Changes nothing, makes no topic, joins no group."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import ConfigResource, OffsetSpec, ResourceType, TopicDescription

from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.reach import ANSWER_SECONDS, Reach
from mayfly.model.instant import Ms
from mayfly.model.topic import UNLIMITED, ClusterState, TopicState

MOST_GROUPS = 500
"""Of so many groups it is asked whether they read our topics."""
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

    def at(self, group: str, topics: Collection[str]) -> ClusterState:
        brokers = [str(node.id) for node in self._reach.let_in().nodes]
        asked = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=ANSWER_SECONDS)
        kept: dict[str, TopicState] = {}
        missing, unseen = set(), {}
        for name, described in asked.items():
            try:
                kept[name] = self._topic(described.result(), group)
            except KafkaException as fault:
                if fault.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    missing.add(name)
                else:
                    unseen[name] = self._reach.said(fault.args[0])
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

    def _topic(self, described: TopicDescription, group: str) -> TopicState:
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
            readers=tuple(sorted(self._readers(partitions, group))),
            oldest=dict(self._oldest(partitions)),
        )

    def _settings(self, kind: ResourceType, name: str) -> Mapping[str, str | None]:
        (answer,) = self._admin.describe_configs([ConfigResource(kind, name)], request_timeout=ANSWER_SECONDS).values()
        return {name: entry.value for name, entry in answer.result().items()}

    def _readers(self, partitions: Sequence[TopicPartition], ours: str) -> Iterator[str]:
        """Groups that have committed an offset of one of these, or whose members hold one. Of those we may not look at
        nothing is known."""
        try:
            listed = self._admin.list_consumer_groups(request_timeout=ANSWER_SECONDS).result().valid
        except KafkaException:
            return
        others = [each.group_id for each in listed if each.group_id != ours][:MOST_GROUPS]
        if not others:
            return
        members = self._admin.describe_consumer_groups(others, request_timeout=ANSWER_SECONDS)
        # The client library takes one group a request; the requests are under way together.
        committed = {
            group: self._admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group, list(partitions))], request_timeout=ANSWER_SECONDS
            )[group]
            for group in others
        }
        topic = partitions[0].topic
        for group in others:
            with contextlib.suppress(KafkaException):
                held = [
                    place for one in members[group].result().members for place in one.assignment.topic_partitions or ()
                ]
                offsets = committed[group].result().topic_partitions
                if any(place.topic == topic for place in held) or any(place.offset >= 0 for place in offsets):
                    yield group

    def _oldest(self, partitions: Sequence[TopicPartition]) -> Iterator[tuple[int, Ms]]:
        """By partition, the timestamp of the first record there is that has one."""
        wanted = dict.fromkeys(partitions, OffsetSpec.for_timestamp(0))
        for place, answer in self._admin.list_offsets(wanted, request_timeout=ANSWER_SECONDS).items():
            with contextlib.suppress(KafkaException):
                found = answer.result()
                if found.offset >= 0:
                    yield place.partition, Ms(found.timestamp)
