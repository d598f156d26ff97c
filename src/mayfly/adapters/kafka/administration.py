"""What is asked of the brokers beside reading and writing: which topics there are, how far they reach, what may go."""

import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from mayfly.adapters.kafka.membership import make
from mayfly.adapters.kafka.refusals import Refusals
from mayfly.model.errors import Conflict, Misconfigured, Unavailable
from mayfly.model.instant import Ms
from mayfly.model.stream import Partition, Survey

CALL_SECONDS = 5.0
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

    def __init__(self, properties: Mapping[str, Any], refusals: Refusals) -> None:
        self._refusals = refusals
        self._client: AdminClient = make(AdminClient, dict(properties) | {"error_cb": refusals.note})

    def serve(self, seconds: float = 0.0) -> None:
        """Let it tell what it has to tell."""
        self._client.poll(seconds)

    def topics_are_there(self, topics: Collection[str], dead_letters: str, seconds: float) -> bool:
        """Whether all are there, the dead letters' after it was made if need be. False: the brokers do not answer.

        Raises:
            Misconfigured: one is not, or we are refused.
        """
        wanted = TopicCollection([*topics, dead_letters])
        asked = self._client.describe_topics(wanted, request_timeout=CALL_SECONDS)
        deadline = time.monotonic() + min(seconds, CALL_SECONDS)
        while wait(asked.values(), timeout=_SLICE_SECONDS).not_done and time.monotonic() < deadline:
            self.serve()
            self._refusals.check()
        self.serve()
        self._refusals.check()
        faults = {name: _fault(future) for name, future in asked.items() if future.done()}
        if len(faults) < len(asked):
            return False
        missing = [name for name, fault in faults.items() if fault == KafkaError.UNKNOWN_TOPIC_OR_PART]
        if absent := [name for name in missing if name != dead_letters]:
            raise Misconfigured(
                *(f"topic: the broker has no topic {name}: make it, or name another" for name in absent)
            )
        if dead_letters in missing:
            self._make(dead_letters)
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
        asked = [self._client.list_offsets(dict.fromkeys(places, spec), request_timeout=CALL_SECONDS) for spec in specs]
        committed = self._committed([group], partitions)
        if group not in committed:
            return []
        earliest, latest, oldest = ({_as_partition(k): _result(v) for k, v in one.items()} for one in asked)
        return [
            Survey(
                one,
                earliest[one].offset,
                latest[one].offset,
                committed[group].get(one),
                Ms(oldest[one].timestamp) if oldest[one].offset >= 0 else None,
            )
            for one in partitions
            if None not in (earliest[one], latest[one], oldest[one])
        ]

    def trim(self, group: str, bounds: Mapping[Partition, int]) -> None:
        """As `ports.image_stream.ImageStream.trim` says. A reader who commits nothing is seen by nobody."""
        if others := self._other_readers(group, {one.topic for one in bounds}):
            raise Conflict(
                f"nothing is trimmed: other groups read the topic, such as {others[0]}. Set kafka_trim to false"
            )
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
        for future in self._client.delete_records(places, request_timeout=CALL_SECONDS).values():
            if (code := _fault(future)) in _FORBIDDEN:
                raise Conflict(f"nothing is trimmed: the broker does not let us delete records ({KafkaError(code)})")
            if code is not None:
                raise Unavailable(f"not trimmed: {KafkaError(code).str()}")

    def _other_readers(self, group: str, topics: Collection[str]) -> list[str]:
        """Groups that committed offsets of these topics, or whose members hold partitions of them."""
        listed = _result(self._client.list_consumer_groups(request_timeout=CALL_SECONDS))
        if listed is None or listed.errors:
            raise Unavailable("the brokers do not tell which groups there are")
        others = [one.group_id for one in listed.valid if one.group_id != group]
        if not others:
            return []
        described = self._client.describe_consumer_groups(others, request_timeout=CALL_SECONDS)
        committed = self._committed(others, None)
        found = set()
        for name, future in described.items():
            told = _result(future)
            if told is None or name not in committed:
                raise Unavailable(f"the brokers do not tell what the group {name} reads")
            held = {place.topic for member in told.members for place in (member.assignment.topic_partitions or ())}
            if (held | {one.topic for one in committed[name]}) & set(topics):
                found.add(name)
        return sorted(found)

    def _committed(
        self, groups: Iterable[str], partitions: Collection[Partition] | None
    ) -> dict[str, dict[Partition, int]]:
        """By group, what it committed; without a group that the brokers do not tell of. None: of all partitions."""
        places = None if partitions is None else [TopicPartition(one.topic, one.number) for one in partitions]
        asked = {
            group: self._client.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group, places)], request_timeout=CALL_SECONDS
            )[group]
            for group in groups
        }
        found: dict[str, dict[Partition, int]] = {}
        for group, future in asked.items():
            if (told := _result(future)) is not None and not any(one.error for one in told.topic_partitions):
                found[group] = {_as_partition(one): one.offset for one in told.topic_partitions if one.offset >= 0}
            elif future.done() and _fault(future) == KafkaError.GROUP_ID_NOT_FOUND:
                found[group] = {}
        return found

    def _make(self, dead_letters: str) -> None:
        """
        Raises:
            Misconfigured: we may not.
        """
        topic = NewTopic(dead_letters, 1, -1, config=DEAD_LETTER_CONFIG)
        made = self._client.create_topics([topic], request_timeout=CALL_SECONDS)[dead_letters]
        if (code := _fault(made)) in _FORBIDDEN:
            raise Misconfigured(
                f"kafka_dead_letters: the broker has no topic {dead_letters} and does not let us make it "
                f"({KafkaError(code).str()}): make it, or name another"
            )


def _as_partition(place: TopicPartition) -> Partition:
    return Partition(place.topic, place.partition)


def _result(future: "Future[Any]") -> Any:
    """What was answered, None if nothing was in time."""
    return None if _fault(future) is not None else future.result()


def _fault(future: "Future[Any]") -> int | None:
    """The code of what went wrong, None if nothing did. Calls end by themselves, by their request_timeout."""
    try:
        future.result(2 * CALL_SECONDS)
    except KafkaException as fault:
        return int(fault.args[0].code())
    except TimeoutError:
        return int(KafkaError._TIMED_OUT)
    return None
