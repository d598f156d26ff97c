"""Who reads topics beside us: groups that committed offsets of them, or whose members hold some of their partitions.

What a group committed is asked by a consumer of its own that subscribes to nothing, and joins no group by it. An
administrative client may end the process with that question while the group's coordinator is away (librdkafka issue
5040). Who commits nothing and is no member is seen by nobody.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AclOperation, AdminClient

from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.membership import make
from mayfly.adapters.kafka.rights import ALL, lacking
from mayfly.model.stream import Partition

CALL_SECONDS = 5.0
MOST_GROUPS = 500
"""Of so many groups it is asked whether they read our topics."""
_ASKING_SECONDS = 30.0
"""For what all of them committed."""
_AT_ONCE = 8
"""Consumers that ask: each has threads and connections of its own."""


@dataclass(frozen=True, slots=True)
class Reading:
    """By topic, the groups that read it, in order. `untold` says what could not be learned, None if everything was."""

    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    untold: str | None = None


class Readers:
    """Threads may share it. `note` hears of what the brokers answer instead."""

    def __init__(self, connection: Connection, note: Callable[[KafkaError], None]) -> None:
        self._connection = connection
        self._properties = connection.properties() | {"error_cb": note}
        self._note = note

    def beside(self, ours: str, partitions: Collection[Partition], admin: AdminClient) -> Reading:
        """Who has committed offsets of these, or holds others of their topics, but for our group."""
        cluster = answered(admin.describe_cluster(include_authorized_operations=True, request_timeout=CALL_SECONDS))
        if cluster is None:
            return Reading(untold="the brokers do not tell what we may see")
        if AclOperation.DESCRIBE not in (cluster.authorized_operations or ()):
            # They would leave out the groups that we may not see, and say nothing.
            return Reading(untold=lacking(self._connection, "Describe", "cluster"))
        listed = answered(admin.list_consumer_groups(request_timeout=CALL_SECONDS))
        if listed is None or listed.errors:
            return Reading(untold="the brokers do not tell which groups there are")
        others = sorted(one.group_id for one in listed.valid if one.group_id != ours)
        asked = others[:MOST_GROUPS]
        if not asked:
            return Reading()
        members = admin.describe_consumer_groups(asked, request_timeout=CALL_SECONDS)
        if KafkaError.GROUP_AUTHORIZATION_FAILED in map(fault_of, members.values()):
            return Reading(untold=lacking(self._connection, "Describe", "group", ALL))
        held = {name: _topics_held(future) for name, future in members.items()}
        committed = self._committed_by(asked, partitions)
        read = {name: (held[name] or set()) | {one.topic for one in committed[name] or ()} for name in asked}
        groups = {
            topic: tuple(name for name in asked if topic in read[name]) for topic in {one.topic for one in partitions}
        }
        unknown = [name for name in asked if None in (held[name], committed[name])]
        if unknown:
            return Reading(groups, f"the brokers do not tell what the group {unknown[0]} reads")
        if len(others) > MOST_GROUPS:
            return Reading(groups, f"there are {len(others)} groups, and no more than {MOST_GROUPS} are asked")
        return Reading(groups)

    def committed(self, group: str, partitions: Collection[Partition]) -> dict[Partition, int] | None:
        """What a group committed of these; None if the brokers do not tell."""
        asking: Consumer = make(Consumer, self._properties | {"group.id": group, "enable.auto.commit": False})
        try:
            places = asking.committed([TopicPartition(one.topic, one.number) for one in partitions], CALL_SECONDS)
        except KafkaException as fault:
            self._note(fault.args[0])
            return None
        finally:
            asking.close()
        if any(place.error is not None for place in places):
            return None
        return {Partition(place.topic, place.partition): place.offset for place in places if place.offset >= 0}

    def _committed_by(
        self, groups: Sequence[str], partitions: Collection[Partition]
    ) -> Mapping[str, dict[Partition, int] | None]:
        deadline = time.monotonic() + _ASKING_SECONDS

        def ask(group: str) -> dict[Partition, int] | None:
            return self.committed(group, partitions) if time.monotonic() < deadline else None

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(zip(groups, pool.map(ask, groups), strict=True))


def answered(future: "Future[Any]") -> Any:
    """What was answered, None if nothing was in time."""
    return None if fault_of(future) is not None else future.result()


def fault_of(future: "Future[Any]") -> int | None:
    """The code of what went wrong, None if nothing did. Calls end by themselves, by their request_timeout."""
    try:
        future.result(2 * CALL_SECONDS)
    except KafkaException as fault:
        return int(fault.args[0].code())
    except TimeoutError:
        return int(KafkaError._TIMED_OUT)
    return None


def _topics_held(future: "Future[Any]") -> set[str] | None:
    told = answered(future)
    if told is None:
        return None
    return {place.topic for member in told.members for place in (member.assignment.topic_partitions or ())}
