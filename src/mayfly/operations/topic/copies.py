"""How long a copy lies in a topic."""

from collections.abc import Iterator

from mayfly.model.instant import MINUTE, Ms
from mayfly.model.topic import UNLIMITED, ClusterState, TopicState
from mayfly.operations.check import Check
from mayfly.operations.topic.promise import DAY, HOUR, Promise, interval_ms, lasting, span

_AHEAD_MS = MINUTE
"""So far ahead of us a record is waited for; one further ahead becomes a dead letter."""
_LONGEST_NOTES_MS = 31 * DAY


def copies(topic: TopicState, cluster: ClusterState, promise: Promise, now: Ms) -> Iterator[Check]:
    """Of a topic of images."""
    yield _lasts(topic, cluster, promise)
    yield _timestamps(topic, cluster, promise)
    yield _oldest(topic, promise, now)


def notes(topic: TopicState, cluster: ClusterState, promise: Promise) -> Check:
    """Of a topic that Mayfly writes: nothing personal is in it, and yet it is not kept for ever."""
    name, lasts = f"topic {topic.name} retention", bound_ms(topic, cluster)
    if lasts is not None and lasts <= _LONGEST_NOTES_MS:
        return Check(name, "ok", f"{span(lasts)} at most")
    return Check(
        name,
        "warning",
        f"what is written there stays {'for ever' if lasts is None else f'up to {span(lasts)}'}",
        promise.tools.set(
            topic.name, {"cleanup.policy": "delete"} | (lasting(cluster, promise.retention_ms, topic) or {})
        ),
        "It tells of images long after they are gone.",
    )


def bound_ms(topic: TopicState, cluster: ClusterState) -> int | None:
    """The longest that a record can lie in this topic, in ms, if no record comes from the future. None: for ever."""
    if topic.retention_ms == UNLIMITED or "delete" not in topic.cleanup_policy:
        return None
    return topic.retention_ms + topic.segment_ms + interval_ms(cluster) + topic.delete_delay_ms


def _lasts(topic: TopicState, cluster: ClusterState, promise: Promise) -> Check:
    name, lasts = f"topic {topic.name} retention", bound_ms(topic, cluster)
    parts = (
        f"retention.ms={topic.retention_ms} + segment.ms={topic.segment_ms} + "
        f"log.retention.check.interval.ms={interval_ms(cluster)} + file.delete.delay.ms={topic.delete_delay_ms}"
    )
    life = span(promise.retention_ms)
    if lasts is not None and lasts <= promise.retention_ms:
        return Check(name, "ok", f"a record lies there for {span(lasts)} at most, an image lives {life} ({parts})")
    found = "records stay for ever" if lasts is None else f"a record may lie there for {span(lasts)} ({parts})"
    values = lasting(cluster, promise.retention_ms, topic)
    if values is None:
        fix = (
            "no setting of the topic can do it: lower log.retention.check.interval.ms in the brokers' "
            "server.properties, or let images live longer (kafka_retention)"
        )
    else:
        fix = promise.tools.set(topic.name, values)
    return Check(
        name,
        "failed",
        f"{found}, but an image lives {life}",
        fix,
        "The topic keeps a copy of the image after its death. Traffic keeps a segment open for segment.ms, and a "
        "record goes with its whole segment.",
    )


def _timestamps(topic: TopicState, cluster: ClusterState, promise: Promise) -> Check:
    name = f"topic {topic.name} timestamps"
    if topic.append_time:
        return Check(name, "ok", "message.timestamp.type=LogAppendTime")
    ahead = f"message.timestamp.type=CreateTime, message.timestamp.after.max.ms={topic.after_max_ms}"
    lasts = bound_ms(topic, cluster)
    held = lasts is not None and lasts <= promise.retention_ms < lasts + topic.after_max_ms
    if topic.after_max_ms <= _AHEAD_MS and not held:
        return Check(name, "ok", ahead)
    return Check(
        name,
        "failed" if held or topic.after_max_ms > HOUR else "warning",
        ahead,
        promise.tools.set(topic.name, {"message.timestamp.type": "LogAppendTime"}),
        f"Records carry the producer's time. One from the future stops the retention of its whole partition, for "
        f"{_for(topic.after_max_ms)}; {_backward(topic)}.",
    )


def _for(ms: int) -> str:
    return "years" if ms > 365 * DAY else f"up to {span(ms)}"


def _backward(topic: TopicState) -> str:
    if topic.before_max_ms >= topic.retention_ms != UNLIMITED:
        return "one older than retention.ms is acknowledged and then deleted, read or not"
    return "one that is too old is refused, and with it the whole batch"


def _oldest(topic: TopicState, promise: Promise, now: Ms) -> Check:
    name = f"topic {topic.name} oldest record"
    if not topic.oldest:
        return Check(name, "ok", "no record in it, or none that could be read")
    partition, at = min(topic.oldest.items(), key=lambda each: each[1])
    newest_partition, newest = max(topic.oldest.items(), key=lambda each: each[1])
    if newest > now + _AHEAD_MS:
        return Check(
            name,
            "failed",
            f"partition {newest_partition} begins with a record {span(newest - now)} ahead of this clock",
            "mend the producer's clock and the topic's timestamps; it goes by itself, retention.ms after its time",
            "The broker deletes nothing of that partition until then.",
        )
    found = f"{span(now - at)} old, in partition {partition}"
    if now - at <= promise.retention_ms:
        return Check(name, "ok", found)
    return Check(
        name,
        "failed",
        f"{found}; an image lives {span(promise.retention_ms)}",
        "mend the topic's retention and timestamps as told here: the broker then deletes it at its next look",
        "It is a copy that has outlived its image.",
    )
