"""A stream of images on a real broker that refuses, dies, comes back, or knows only the older protocol of groups."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from mayfly.adapters.kafka import membership
from mayfly.adapters.kafka.administration import DEAD_LETTER_CONFIG
from mayfly.adapters.kafka.connection import Connection
from mayfly.adapters.kafka.image_stream import KafkaImageStream, Subscription
from mayfly.model.errors import Misconfigured, Unavailable
from mayfly.model.instant import Ms, minute_of
from mayfly.model.stream import Coordinates, Letter, Partition, StreamRecord
from support.broker import PASSWORD, USER, Broker
from support.certificate import write_certificate
from support.topics import Topics

PATIENCE_SECONDS = 40.0
NAMED_WITHIN_SECONDS = 5.0
SESSION_SECONDS = 6.0
"""After which the shared broker misses a member that is silent."""


class Told:
    """What a stream tells."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, event: str, reason: str = "") -> None:
        self.lines.append(f"{event} {reason}")


@pytest.fixture(scope="module")
def own(can_start_brokers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One that asks who is there, may be killed, and has groups of the older kind alone."""
    settings = {"group.coordinator.rebalance.protocols": "classic"}
    broker = Broker(tmp_path_factory.mktemp("own"), secured=True, settings=settings)
    try:
        yield broker.start()
    finally:
        broker.close()


def opened(
    broker: Topics, topic: str, told: Told | None = None, connection: Connection | None = None
) -> KafkaImageStream:
    subscription = Subscription((topic,), f"group-{topic}", f"letters-{topic}")
    return KafkaImageStream(connection or Connection(broker.bootstrap), subscription, told or Told())


def take(stream: KafkaImageStream, count: int) -> list[StreamRecord]:
    """So many, each settled."""
    found: list[StreamRecord] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} records came"
        if (record := stream.poll(0.1)) is not None:
            found.append(record)
            stream.settle(record.at.partition, record.tenure, record.at.offset + 1)
    return found


def poll_for(stream: KafkaImageStream, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert stream.poll(0.1) is None


def a_letter(topic: str) -> Letter:
    now = Ms(time.time_ns() // 1_000_000)
    return Letter.of_record(Coordinates(Partition(topic, 0), 7), None, "too-large", now, minute_of(now))


@pytest.mark.parametrize("wrong", ["password", "user", "certificate"])
def test_who_is_refused_hears_within_five_seconds_why_and_no_secret(own: Broker, tmp_path: Path, wrong: str) -> None:
    good = Connection(
        own.address("SASL_SSL"),
        protocol="SASL_SSL",
        ca=own.certificate,
        mechanism="SCRAM-SHA-512",
        username=USER,
        password=PASSWORD,
    )
    other, _ = write_certificate(tmp_path)
    bad = {
        "password": replace(good, password="hunter2"),
        "user": replace(good, username="nobody", password="hunter2"),
        "certificate": replace(good, ca=other),
    }[wrong]
    topic = own.create_topic()
    stream = opened(own, topic, connection=bad)
    began = time.monotonic()
    with pytest.raises(Misconfigured, match="kafka_ca" if wrong == "certificate" else "kafka_password") as caught:
        take(stream, 1)
    assert time.monotonic() - began < NAMED_WITHIN_SECONDS
    assert "hunter2" not in str(caught.value) + repr(bad)
    stream.close()
    own.produce(topic, b"in")
    stream = opened(own, topic, connection=good)
    assert [record.value for record in take(stream, 1)] == [b"in"]
    stream.close()


@pytest.mark.parametrize("setting", ["ca", "certificate", "key"])
def test_a_file_that_is_not_there_is_told_at_once_by_its_path_and_setting(tmp_path: Path, setting: str) -> None:
    certificate, key = write_certificate(tmp_path)
    there = Connection("127.0.0.1:1", protocol="SSL", ca=certificate, certificate=certificate, key=key)
    missing = tmp_path / "missing.pem"
    changed: dict[str, Any] = {setting: missing}
    with pytest.raises(Misconfigured, match=f"^kafka_{setting}: {missing} cannot be read"):
        KafkaImageStream(replace(there, **changed), Subscription(("photos",)), Told())


def test_a_consumer_that_was_fenced_for_good_is_made_anew(own: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a name that another one takes: what fences a consumer of the older protocol."""
    plain = membership.consumer_properties

    def named(group: str) -> dict[str, Any]:
        return plain(group) | {"group.instance.id": "same"}

    monkeypatch.setattr(membership, "consumer_properties", named)
    topic, told = own.create_topic(partitions=2), Told()
    stream = opened(own, topic, told)
    own.produce(topic, b"1")
    take(stream, 1)
    before = max(stream.held().values())
    older = {"group.protocol": "classic", "partition.assignment.strategy": "cooperative-sticky"}
    rival = Consumer(own.client(**{"group.id": f"group-{topic}", "group.instance.id": "same"} | older))
    rival.subscribe([topic])
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(line.startswith("stream_consumer_renewed") for line in told.lines):
        assert time.monotonic() < deadline
        stream.poll(0.05)
        rival.poll(0.05)
    rival.close()
    assert stream.held() == {}
    own.produce(topic, b"2")
    take(stream, 1)
    assert min(stream.held().values()) > before
    stream.close()


def test_a_broker_that_is_killed_and_comes_back_costs_nothing(own: Broker) -> None:
    topic, told = own.create_topic(), Told()
    place = Partition(topic, 0)
    stream = opened(own, topic, told)
    own.produce(topic, b"1", b"2")
    take(stream, 2)
    held = dict(stream.held())
    own.kill()
    poll_for(stream, 2)
    assert stream.survey([place]) == []
    with pytest.raises(Unavailable):
        stream.trim({place: 1})
    assert stream.held() == held
    own.start()
    own.produce(topic, b"3")
    assert [record.value for record in take(stream, 1)] == [b"3"]
    stream.bury(a_letter(topic))
    assert own.describe(f"letters-{topic}").items() >= DEAD_LETTER_CONFIG.items()
    (letter,) = own.records(f"letters-{topic}")
    assert letter.key == f"{topic}/0/7".encode()
    assert json.loads(letter.value or b"").items() >= {"topic": topic, "offset": 7, "attempt": 1}.items()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while [one.committed for one in stream.survey([place])] != [3]:
        assert time.monotonic() < deadline
        stream.poll(0.1)
    own.kill()
    began = time.monotonic()
    stream.close()
    assert time.monotonic() - began < membership.CLOSE_SECONDS + 3
    own.start()
    assert any(line.startswith("stream_disturbed") for line in told.lines)


def test_a_member_stays_one_while_all_it_holds_is_paused_longer_than_a_session(broker: Topics) -> None:
    topic = broker.create_topic(partitions=2)
    stream = opened(broker, topic)
    broker.produce(topic, b"1")
    take(stream, 1)
    held = dict(stream.held())
    stream.pause(list(held))
    broker.produce(topic, b"2")
    poll_for(stream, SESSION_SECONDS + 2)
    assert stream.held() == held
    stream.resume(list(held))
    assert [record.value for record in take(stream, 1)] == [b"2"]
    stream.close()
