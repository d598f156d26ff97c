"""What may be lost in a topic, or before it."""

from collections.abc import Iterator

from mayfly.model.topic import UNLIMITED, ClusterState, TopicState
from mayfly.operations.check import Check
from mayfly.operations.topic.promise import REPLICAS, Promise


def losses(topic: TopicState, cluster: ClusterState, promise: Promise) -> Iterator[Check]:
    """Of a topic of images."""
    yield _cleanup(topic, promise)
    yield _size_limit(topic, promise)
    yield _message_size(topic, promise)
    yield replication(topic, cluster, promise)
    yield _readers(topic, promise)
    yield _sharing(topic, promise)


def _cleanup(topic: TopicState, promise: Promise) -> Check:
    name, policy = f"topic {topic.name} cleanup", ",".join(sorted(topic.cleanup_policy)) or "none"
    if topic.cleanup_policy == {"delete"}:
        return Check(name, "ok", "cleanup.policy=delete")
    return Check(
        name,
        "failed",
        f"cleanup.policy={policy}",
        promise.tools.set(topic.name, {"cleanup.policy": "delete"}),
        "Compaction removes an image when another comes with its key, read or not, and keeps the last one of each key "
        "for ever."
        if "compact" in topic.cleanup_policy
        else "Nothing is ever deleted.",
    )


def _size_limit(topic: TopicState, promise: Promise) -> Check:
    name = f"topic {topic.name} size limit"
    if topic.retention_bytes == UNLIMITED:
        return Check(name, "ok", "none: retention.bytes=-1")
    return Check(
        name,
        "warning",
        f"retention.bytes={topic.retention_bytes} a partition",
        promise.tools.set(topic.name, {"retention.bytes": UNLIMITED}),
        "A burst deletes images that nobody has read yet.",
    )


def _message_size(topic: TopicState, promise: Promise) -> Check:
    name, found = f"topic {topic.name} message size", f"max.message.bytes={topic.max_message_bytes}"
    if topic.max_message_bytes >= promise.message_bytes:
        return Check(name, "ok", found)
    return Check(
        name,
        "failed",
        f"{found}; an image may have {promise.max_bytes} (max_bytes), and its headers come on top",
        promise.tools.set(topic.name, {"max.message.bytes": promise.message_bytes}),
        "The broker refuses large images to their producer: MSG_SIZE_TOO_LARGE.",
    )


def replication(topic: TopicState, cluster: ClusterState, promise: Promise) -> Check:
    name = f"topic {topic.name} replication"
    replicas, synced = topic.replication_factor, topic.min_insync_replicas
    found = f"{replicas} replica{'s' * (replicas != 1)}, min.insync.replicas={synced}"
    if topic.unclean_leader_election:
        fix = promise.tools.set(topic.name, {"unclean.leader.election.enable": "false"})
        why = "A replica that lags behind may lead, and what it lacks is lost though it was acknowledged."
        return Check(name, "warning", f"{found}, unclean.leader.election.enable=true", fix, why)
    if replicas < 2:
        one = cluster.brokers < 2
        fix = (
            "none while the cluster has one broker"
            if one
            else f"give it {min(REPLICAS, cluster.brokers)} replicas (kafka-reassign-partitions.sh), or make it anew"
        )
        return Check(name, "warning", found, fix, "What its broker loses is lost: images that nobody has read yet.")
    wanted = max(1, replicas - 1)
    if synced > wanted or (synced < 2 <= wanted):
        fix = promise.tools.set(topic.name, {"min.insync.replicas": wanted})
        why = (
            "With one broker down nothing can be written."
            if synced > wanted
            else "A write is acknowledged that one broker alone has."
        )
        return Check(name, "warning", found, fix, why)
    return Check(name, "ok", found)


def _readers(topic: TopicState, promise: Promise) -> Check:
    name = f"topic {topic.name} other readers"
    if not topic.readers and topic.readers_untold is not None:
        why = "What others copy from the topic is beyond Mayfly's reach, and is not trimmed."
        return Check(name, "warning", f"not known: {topic.readers_untold}", "ask whoever runs the cluster", why)
    if not topic.readers:
        return Check(name, "ok", "none that the cluster knows of")
    found, fix = f"groups {', '.join(topic.readers)}", "look after what they keep"
    if promise.trim:
        return Check(
            name, "failed", found, f"kafka_trim = false; {fix}", "Trimming would delete what they have to read."
        )
    return Check(name, "warning", found, fix, "What others copy from the topic is beyond Mayfly's reach.")


def _sharing(topic: TopicState, promise: Promise) -> Check:
    name = f"topic {topic.name} partitions"
    if promise.consumers <= topic.partitions:
        return Check(name, "ok", f"{topic.partitions} for {promise.consumers} consumers of `mayfly up`")
    return Check(
        name,
        "warning",
        f"{topic.partitions} for {promise.consumers} consumers",
        promise.tools.partitions(topic.name, promise.consumers),
        "A partition has one consumer of a group: the others are idle.",
    )
