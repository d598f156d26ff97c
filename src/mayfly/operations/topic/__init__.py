"""What in a Kafka topic would break the promise: a copy that outlives its image, a record that is gone before it was
read. Pure rules; `adapters.kafka.topic` looks.

How long a record can lie in a topic, measured with Kafka 4.4: it goes with its whole segment, once the newest record of
that is older than `retention.ms`. Steady traffic keeps a segment open for `segment.ms`, the broker looks once in
`log.retention.check.interval.ms`, and the file stays for `file.delete.delay.ms` more. The bound is the sum of the four,
whatever `retention.ms` says alone. Under `CreateTime` one record from the future holds the whole segment until its own
time has passed `retention.ms`, too: that adds `message.timestamp.after.max.ms`.
"""

from collections.abc import Callable, Iterable, Iterator

from mayfly.model.instant import Ms
from mayfly.model.topic import ClusterState, TopicState
from mayfly.operations.check import Check, Verdict
from mayfly.operations.topic.copies import copies, notes
from mayfly.operations.topic.losses import losses, replication
from mayfly.operations.topic.promise import REPLICAS, KafkaTools, Promise, lasting

__all__ = ["KafkaTools", "Promise", "checks"]

_PARTITIONS = 6


def checks(cluster: ClusterState, promise: Promise, now: Ms) -> list[Check]:
    """Every finding, sound ones too."""
    found = [_auto_create(cluster)]
    for name in dict.fromkeys(promise.images):
        found += _of(
            name,
            cluster,
            promise,
            lambda topic: (*copies(topic, cluster, promise, now), *losses(topic, cluster, promise)),
        )
    for name in dict.fromkeys(filter(None, (promise.dead_letters, promise.events))):
        found += _of(
            name, cluster, promise, lambda topic: (notes(topic, cluster, promise), replication(topic, cluster, promise))
        )
    return found


def _of(
    name: str, cluster: ClusterState, promise: Promise, look: Callable[[TopicState], Iterable[Check]]
) -> Iterator[Check]:
    topic = cluster.topics.get(name)
    if topic is not None:
        yield from look(topic)
    elif name in cluster.missing:
        yield _missing(name, cluster, promise)
    else:
        reason = cluster.unseen.get(name, "the cluster does not tell")
        fix = "let this user describe the topic and its configs: operations Describe and DescribeConfigs"
        yield Check(f"topic {name}", "failed", f"could not be looked at: {reason}", fix)


def _missing(name: str, cluster: ClusterState, promise: Promise) -> Check:
    replicas = max(1, min(REPLICAS, cluster.brokers))
    partitions, why = 1, "No event can be written to it."
    verdict: Verdict = "failed"
    values = {"cleanup.policy": "delete"} | (lasting(cluster, promise.retention_ms) or {})
    if name in promise.images:
        partitions, why = max(_PARTITIONS, promise.consumers), "Nothing can be taken from it."
        values |= {"message.timestamp.type": "LogAppendTime", "max.message.bytes": promise.message_bytes}
    elif name == promise.dead_letters:
        verdict = "warning"
        why = "A consumer makes it if it may; where it may not, a partition waits at the first record it cannot take."
    if replicas == REPLICAS:
        values["min.insync.replicas"] = replicas - 1
    command = promise.tools.create(name, partitions, replicas, values)
    return Check(f"topic {name}", verdict, "does not exist", command, why)


def _auto_create(cluster: ClusterState) -> Check:
    name = "topics made by themselves"
    if cluster.auto_create:
        return Check(
            name,
            "warning",
            "auto.create.topics.enable=true",
            "set auto.create.topics.enable=false in the brokers' server.properties, and restart them one by one",
            "A name that a producer mistypes becomes a topic of images that nobody reads and no check looks at.",
        )
    if cluster.auto_create is None:
        return Check(name, "ok", "the cluster does not tell whether it makes topics by itself")
    return Check(name, "ok", "no: auto.create.topics.enable=false")
