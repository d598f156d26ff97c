"""What in a topic breaks the promise is found, and the command that is printed mends it."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.model.instant import MINUTE, Ms
from mayfly.model.topic import UNLIMITED, ClusterState, TopicState
from mayfly.operations.check import Check
from mayfly.operations.topic import KafkaTools, Promise, checks
from mayfly.operations.topic.copies import bound_ms
from mayfly.operations.topic.promise import DAY, HOUR, lasting, span

NOW = Ms(1_800_000_000_000)
WEEK = 7 * DAY
NO_LIMIT = 2**63 - 1

SOUND = TopicState(
    name="photos",
    partitions=6,
    replication_factor=3,
    min_insync_replicas=2,
    retention_ms=6 * DAY,
    retention_bytes=UNLIMITED,
    segment_ms=HOUR,
    delete_delay_ms=MINUTE,
    cleanup_policy=frozenset({"delete"}),
    append_time=True,
    after_max_ms=HOUR,
    before_max_ms=NO_LIMIT,
    max_message_bytes=11_534_336,
    oldest={0: Ms(NOW - DAY), 1: NOW},
)
LETTERS = replace(SOUND, name="letters", max_message_bytes=1_048_588)
CLUSTER = ClusterState(
    brokers=3, check_interval_ms=5 * MINUTE, auto_create=False, topics={"photos": SOUND, "letters": LETTERS}
)
PROMISE = Promise(
    images=("photos",),
    retention_ms=WEEK,
    max_bytes=10 * 1024 * 1024,
    consumers=2,
    trim=False,
    dead_letters="letters",
    events=None,
    tools=KafkaTools("one:9092,two:9092", secured=False),
)

SETTINGS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "retention.ms": ("retention_ms", int),
    "retention.bytes": ("retention_bytes", int),
    "segment.ms": ("segment_ms", int),
    "min.insync.replicas": ("min_insync_replicas", int),
    "max.message.bytes": ("max_message_bytes", int),
    "cleanup.policy": ("cleanup_policy", lambda text: frozenset(text.split(","))),
    "message.timestamp.type": ("append_time", lambda text: text == "LogAppendTime"),
    "unclean.leader.election.enable": ("unclean_leader_election", lambda text: text == "true"),
}


def with_photos(**fields: Any) -> ClusterState:
    return replace(CLUSTER, topics={**CLUSTER.topics, "photos": replace(SOUND, **fields)})


def found(cluster: ClusterState, promise: Promise = PROMISE) -> dict[str, Check]:
    return {check.name: check for check in checks(cluster, promise, NOW)}


def not_sound(cluster: ClusterState, promise: Promise = PROMISE) -> set[str]:
    return {name for name, check in found(cluster, promise).items() if check.verdict != "ok"}


def mended(cluster: ClusterState, command: str) -> ClusterState:
    """As the cluster is after that command."""
    words = shlex.split(command)
    name = words[words.index("--entity-name" if "--entity-name" in words else "--topic") + 1]
    fields: dict[str, Any] = {}
    if "--add-config" in words:
        for pair in words[words.index("--add-config") + 1].split(","):
            setting, _, value = pair.partition("=")
            field, read = SETTINGS[setting]
            fields[field] = read(value)
    else:
        fields["partitions"] = int(words[words.index("--partitions") + 1])
    return replace(cluster, topics={**cluster.topics, name: replace(cluster.topics[name], **fields)})


def test_a_sound_topic_is_found_sound_at_every_point() -> None:
    assert not_sound(CLUSTER) == set()
    assert {
        "topics made by themselves",
        "topic photos retention",
        "topic photos timestamps",
        "topic photos oldest record",
        "topic photos cleanup",
        "topic photos size limit",
        "topic photos message size",
        "topic photos replication",
        "topic photos other readers",
        "topic photos partitions",
        "topic letters retention",
        "topic letters replication",
    } == found(CLUSTER).keys()


@pytest.mark.parametrize(
    ("fault", "name", "verdict"),
    [
        # Each of the four parts alone takes it over the week.
        ({"retention_ms": WEEK}, "retention", "failed"),
        ({"segment_ms": WEEK}, "retention", "failed"),
        ({"retention_ms": UNLIMITED}, "retention", "failed"),
        ({"append_time": False, "after_max_ms": 2 * HOUR}, "timestamps", "failed"),
        ({"append_time": False}, "timestamps", "warning"),
        # An hour that the bound has no room for.
        ({"append_time": False, "retention_ms": WEEK - HOUR - 6 * MINUTE}, "timestamps", "failed"),
        ({"max_message_bytes": 10 * 1024 * 1024}, "message size", "failed"),
        ({"retention_bytes": 1024}, "size limit", "warning"),
        ({"min_insync_replicas": 1}, "replication", "warning"),
        ({"min_insync_replicas": 3}, "replication", "warning"),
        ({"unclean_leader_election": True}, "replication", "warning"),
        ({"partitions": 1}, "partitions", "warning"),
    ],
)
def test_a_fault_is_found_and_its_command_mends_it(fault: Mapping[str, Any], name: str, verdict: str) -> None:
    cluster = with_photos(**fault)
    assert not_sound(cluster) == {f"topic photos {name}"}
    check = found(cluster)[f"topic photos {name}"]
    assert (check.verdict, bool(check.why)) == (verdict, True)
    assert not_sound(mended(cluster, check.fix)) == set()


@pytest.mark.parametrize("policy", [{"compact"}, {"compact", "delete"}, set()])
def test_only_deletion_is_sound(policy: set[str]) -> None:
    cluster = with_photos(cleanup_policy=frozenset(policy))
    check = found(cluster)["topic photos cleanup"]
    assert check.verdict == "failed"
    assert not_sound(mended(cluster, check.fix)) == set()


def test_the_bound_is_the_sum_of_four() -> None:
    assert bound_ms(SOUND, CLUSTER) == 6 * DAY + HOUR + 5 * MINUTE + MINUTE
    # Where the cluster does not tell how often it looks, Kafka's default counts.
    assert bound_ms(SOUND, replace(CLUSTER, check_interval_ms=None)) == bound_ms(SOUND, CLUSTER)
    exact = with_photos(retention_ms=WEEK - HOUR - 6 * MINUTE)
    assert not_sound(exact) == set()
    assert not_sound(with_photos(retention_ms=WEEK - HOUR - 6 * MINUTE + 1)) == {"topic photos retention"}


@given(
    retention=st.integers(1, 10_080).map(lambda minutes: minutes * MINUTE),
    interval=st.integers(1, 2 * HOUR),
    delay=st.integers(0, HOUR),
    old=st.one_of(st.just(UNLIMITED), st.integers(0, 30 * DAY)),
    segment=st.integers(1, 30 * DAY),
)
def test_what_is_recommended_holds_and_lengthens_nothing(
    retention: int, interval: int, delay: int, old: int, segment: int
) -> None:
    cluster = replace(CLUSTER, check_interval_ms=interval)
    topic = replace(SOUND, retention_ms=old, segment_ms=segment, delete_delay_ms=delay)
    values = lasting(cluster, retention, topic)
    if values is None:
        assert retention - retention // 12 <= interval + delay + HOUR
        return
    kept, rolled = (int(str(values[name])) for name in ("retention.ms", "segment.ms"))
    bound = bound_ms(replace(topic, retention_ms=kept, segment_ms=rolled), cluster)
    assert bound is not None
    assert bound <= retention
    assert 0 < rolled <= segment
    assert old == UNLIMITED or kept <= old


def test_a_life_that_is_shorter_than_the_brokers_look_is_told() -> None:
    short = replace(PROMISE, retention_ms=5 * MINUTE)
    check = found(CLUSTER, short)["topic photos retention"]
    assert check.verdict == "failed"
    assert "log.retention.check.interval.ms" in check.fix
    assert "kafka-configs" not in check.fix


def test_a_copy_that_has_outlived_its_image_is_found() -> None:
    old = with_photos(oldest={0: NOW, 3: Ms(NOW - 8 * DAY)})
    check = found(old)["topic photos oldest record"]
    assert check.verdict == "failed"
    assert "8 d old, in partition 3" in check.found
    ahead = found(with_photos(oldest={0: NOW, 2: Ms(NOW + 30 * MINUTE)}))["topic photos oldest record"]
    assert ahead.verdict == "failed"
    assert "partition 2 begins with a record 30 min ahead" in ahead.found
    assert not_sound(with_photos(oldest={})) == set()


def test_other_readers_are_told_and_forbid_trimming() -> None:
    read = with_photos(readers=("billing", "thumbs"))
    assert found(read)["topic photos other readers"].verdict == "warning"
    trimmed = found(read, replace(PROMISE, trim=True))["topic photos other readers"]
    assert trimmed.verdict == "failed"
    assert "kafka_trim = false" in trimmed.fix
    assert "billing, thumbs" in trimmed.found


def test_readers_that_could_not_be_asked_for_are_not_taken_for_none() -> None:
    check = found(with_photos(readers_untold="the brokers do not tell"))["topic photos other readers"]
    assert (check.verdict, check.found) == ("warning", "not known: the brokers do not tell")


def test_topics_that_make_themselves_are_told() -> None:
    assert not_sound(replace(CLUSTER, auto_create=True)) == {"topics made by themselves"}
    assert not_sound(replace(CLUSTER, auto_create=None)) == set()


def test_a_missing_topic_comes_with_the_command_that_makes_a_sound_one() -> None:
    bare = replace(CLUSTER, brokers=1, topics={}, missing=frozenset({"photos", "letters", "told"}))
    told = found(bare, replace(PROMISE, events="told"))
    assert [told[f"topic {name}"].verdict for name in ("photos", "letters", "told")] == ["failed", "warning", "failed"]
    words = shlex.split(told["topic photos"].fix)
    assert words[:5] == ["kafka-topics.sh", "--bootstrap-server", "one:9092,two:9092", "--create", "--topic"]
    made = dict(word.split("=", 1) for word, before in zip(words[1:], words, strict=False) if before == "--config")
    fields = {SETTINGS[name][0]: SETTINGS[name][1](value) for name, value in made.items()}
    assert not_sound(with_photos(**fields)) == set()
    assert words[words.index("--replication-factor") + 1] == "1"
    three = found(replace(bare, brokers=5))["topic photos"].fix
    assert "--replication-factor 3" in three
    assert "min.insync.replicas=2" in three


def test_a_topic_that_we_may_not_look_at_is_no_sound_one() -> None:
    hidden = replace(CLUSTER, topics={"letters": LETTERS}, unseen={"photos": "Topic authorization failed"})
    check = found(hidden)["topic photos"]
    assert check.verdict == "failed"
    assert "Topic authorization failed" in check.found


def test_what_mayfly_writes_is_not_kept_for_ever() -> None:
    for fault in ({"retention_ms": UNLIMITED}, {"cleanup_policy": frozenset({"compact"})}, {"segment_ms": 60 * DAY}):
        cluster = replace(CLUSTER, topics={"photos": SOUND, "letters": replace(LETTERS, **fault)})
        check = found(cluster)["topic letters retention"]
        assert check.verdict == "warning"
        assert not_sound(mended(cluster, check.fix)) == set()


def test_one_replica_is_a_warning_whose_cure_depends_on_the_cluster() -> None:
    alone = replace(with_photos(replication_factor=1, min_insync_replicas=1), brokers=1)
    check = found(alone)["topic photos replication"]
    assert (check.verdict, "one broker" in check.fix) == ("warning", True)
    assert "3 replicas" in found(replace(alone, brokers=4))["topic photos replication"].fix


def test_commands_are_quoted_for_a_shell_and_say_who_we_are() -> None:
    odd = KafkaTools("one:9092", secured=True).set("a topic; rm -rf", {"segment.ms": 1})
    assert shlex.split(odd) == [
        *("kafka-configs.sh", "--bootstrap-server", "one:9092", "--command-config", "client.properties", "--alter"),
        *("--entity-type", "topics", "--entity-name", "a topic; rm -rf", "--add-config", "segment.ms=1"),
    ]


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0 ms"), (999, "999 ms"), (61_000, "1 min 1 s"), (DAY + 1, "1 d"), (DAY + HOUR + MINUTE, "1 d 1 h")],
)
def test_spans_are_told_by_their_two_largest_units(ms: int, text: str) -> None:
    assert span(ms) == text
