"""Topics of a stream as their cluster keeps them: what decides how long a copy lies there, and what may be lost."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mayfly.model.instant import Ms

UNLIMITED = -1
"""`retention.ms` and `retention.bytes` of a topic whose records no age and no size ends."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic. Fields are Kafka's topic settings of that name; `_ms` are milliseconds.

    `readers` are the groups, other than ours, that have committed an offset of it or are reading it; `readers_untold`
    says why there may be more of them, None if there are not. `oldest` gives by partition the timestamp of its oldest
    record; an empty partition, and one that did not answer, is left out.
    """

    name: str
    partitions: int
    replication_factor: int
    min_insync_replicas: int
    retention_ms: int
    retention_bytes: int
    segment_ms: int
    delete_delay_ms: int
    cleanup_policy: frozenset[str]
    append_time: bool
    """`message.timestamp.type` is `LogAppendTime`, and not `CreateTime`."""
    after_max_ms: int
    """`message.timestamp.after.max.ms`: how far ahead of the broker a record's time may be, by `CreateTime`."""
    before_max_ms: int
    max_message_bytes: int
    unclean_leader_election: bool = False
    readers: tuple[str, ...] = ()
    readers_untold: str | None = None
    oldest: Mapping[int, Ms] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What stands round the topics. None is what the cluster does not tell us. A topic that is `missing` does not
    exist; of one in `unseen` stands why it could not be looked at."""

    brokers: int
    check_interval_ms: int | None
    """`log.retention.check.interval.ms`, the longest of all brokers'."""
    auto_create: bool | None
    topics: Mapping[str, TopicState]
    missing: frozenset[str] = frozenset()
    unseen: Mapping[str, str] = field(default_factory=dict)
