"""What the settings ask of topics, and the commands that mend one."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mayfly.model.instant import MINUTE, SECOND
from mayfly.model.topic import UNLIMITED, ClusterState, TopicState

HOUR = 60 * MINUTE
DAY = 24 * HOUR
ENVELOPE_BYTES = 1024 * 1024
"""Beside the image: key, headers, framing. Measured: 150 bytes for a short key and small headers."""
REPLICAS = 3
_CHECK_INTERVAL_MS = 5 * MINUTE
"""Kafka's default of `log.retention.check.interval.ms`, where the cluster does not tell."""
_DELETE_DELAY_MS = MINUTE
"""Kafka's default of `file.delete.delay.ms`, for a topic that does not exist yet."""
_SEGMENTS = 12
"""So many segments, at least, to an image's life: then a record goes soon after it may."""
_CLIENT_PROPERTIES = "client.properties"
"""Who we are, for Kafka's tools; where the cluster asks for it."""


@dataclass(frozen=True, slots=True)
class KafkaTools:
    """How the tools reach the cluster: `bootstrap` is HOST:PORT, with commas; `secured` whether it asks who we are, or
    speaks TLS."""

    bootstrap: str
    secured: bool

    def set(self, topic: str, values: Mapping[str, object]) -> str:
        """Change settings of a topic; takes effect at once."""
        pairs = ",".join(f"{name}={value}" for name, value in values.items())
        return self._line(
            "kafka-configs.sh", "--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", pairs
        )

    def create(self, topic: str, partitions: int, replicas: int, values: Mapping[str, object]) -> str:
        settings = [part for name, value in values.items() for part in ("--config", f"{name}={value}")]
        return self._line(
            "kafka-topics.sh",
            "--create",
            "--topic",
            topic,
            "--partitions",
            str(partitions),
            "--replication-factor",
            str(replicas),
            *settings,
        )

    def partitions(self, topic: str, count: int) -> str:
        return self._line("kafka-topics.sh", "--alter", "--topic", topic, "--partitions", str(count))

    def _line(self, tool: str, *rest: str) -> str:
        who = ("--command-config", _CLIENT_PROPERTIES) if self.secured else ()
        return shlex.join([tool, "--bootstrap-server", self.bootstrap, *who, *rest])


@dataclass(frozen=True, slots=True)
class Promise:
    """What the settings ask of the topics. `retention_ms` is how long an image of a stream lives; `images` are the
    topics that are read, `events` and `dead_letters` those that are written."""

    images: tuple[str, ...]
    retention_ms: int
    max_bytes: int
    consumers: int
    trim: bool
    dead_letters: str | None
    events: str | None
    tools: KafkaTools

    @property
    def message_bytes(self) -> int:
        """The largest message that has to fit."""
        return self.max_bytes + ENVELOPE_BYTES


def interval_ms(cluster: ClusterState) -> int:
    """How often the brokers look for what is over age."""
    return _CHECK_INTERVAL_MS if cluster.check_interval_ms is None else cluster.check_interval_ms


def lasting(cluster: ClusterState, retention_ms: int, topic: TopicState | None = None) -> dict[str, object] | None:
    """The settings by which nothing lies in a topic for longer than `retention_ms`; what is shorter already stays so.
    None: no setting of a topic can do it."""
    delay_ms = _DELETE_DELAY_MS if topic is None else topic.delete_delay_ms
    segment_ms = min(HOUR, retention_ms // _SEGMENTS)
    kept_ms = retention_ms - segment_ms - interval_ms(cluster) - delay_ms
    if kept_ms <= 0:
        return None
    if topic is not None:
        segment_ms = min(segment_ms, topic.segment_ms)
        kept_ms = kept_ms if topic.retention_ms == UNLIMITED else min(kept_ms, topic.retention_ms)
    return {"retention.ms": kept_ms, "segment.ms": segment_ms}


def span(ms: int) -> str:
    """A duration for people: its two largest units."""
    parts, rest = [], max(0, ms)
    for unit, size in (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or f"{max(0, ms)} ms"
