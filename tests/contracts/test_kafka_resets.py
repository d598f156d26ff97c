"""A group whose offset the topic has no record at: it is told, goes on at the oldest record, and loses nothing more."""

import time
from collections.abc import Callable

from confluent_kafka import TopicPartition

from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.image_stream import KafkaImageStream, Subscription
from mayfly.model.stream import StreamRecord
from support.house import Told
from support.topics import Topics

PATIENCE_SECONDS = 30.0


def polled_until(stream: KafkaImageStream, met: Callable[[list[StreamRecord]], bool]) -> list[StreamRecord]:
    """What comes until then."""
    found: list[StreamRecord] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not met(found):
        assert time.monotonic() < deadline, [record.at for record in found]
        if (record := stream.poll(0.1)) is not None:
            found.append(record)
    return found


def polled_until_committed(stream: KafkaImageStream, committed: Callable[[], dict[int, int]], offset: int) -> None:
    polled_until(stream, lambda _: committed() == {0: offset})


def a_stream(broker: Topics, told: Told) -> tuple[KafkaImageStream, str, str]:
    topic, letters = broker.create_topic(), broker.create_topic()
    broker.produce(topic, *[b"x"] * 10)
    group = f"group-{topic}"
    return KafkaImageStream(Connection(broker.bootstrap), Subscription((topic,), group, letters), told), topic, group


def test_what_the_topic_deleted_unread_is_told(broker: Topics) -> None:
    told = Told()
    stream, topic, group = a_stream(broker, told)
    broker.commit(group, topic, {0: 2})
    admin = broker.admin()
    for deleted in admin.delete_records([TopicPartition(topic, 0, 5)]).values():
        deleted.result()
    try:
        found = polled_until(stream, lambda found: len(found) == 5)
        assert [record.at.offset for record in found] == [5, 6, 7, 8, 9]
        reset = dict(told.lines)["stream_reset"]
        assert reset["partition"] == f"{topic}/0"
        assert "no record at offset 2" in str(reset["reason"])
        stream.settle(found[0].at.partition, found[0].tenure, 6)
        polled_until_committed(stream, lambda: broker.committed(group, topic), 6)
    finally:
        stream.close()


def test_where_the_log_is_shorter_than_what_was_committed_the_group_goes_back_and_so_does_its_offset(
    broker: Topics,
) -> None:
    told = Told()
    stream, topic, group = a_stream(broker, told)
    broker.commit(group, topic, {0: 50})
    try:
        found = polled_until(stream, lambda found: len(found) == 10)
        assert "stream_reset" in told.events
        # Not at the close alone: a crash would go on at 50, and pass over what came meanwhile.
        for offset in (3, 7):
            stream.settle(found[0].at.partition, found[0].tenure, offset)
            polled_until_committed(stream, lambda: broker.committed(group, topic), offset)
    finally:
        stream.close()
