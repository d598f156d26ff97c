"""The second door, over a real broker: what is produced is served, once, however often and whoever is killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from mayfly.model.identity import ImageId
from mayfly.model.instant import Ms, rfc3339
from mayfly.model.retention import Retention
from support.processes import alive, descendants, memory_of
from support.server import MakeServer, Server, until
from support.topics import Message, Topics

WEEK = Retention.parse("P7D")
RSS_BYTES = 300 * 1024 * 1024
STOP_SECONDS = 10.0


def kafka(broker: Topics, topic: str, *more: str, group: str = "") -> tuple[str, ...]:
    dead = ("--workers", "1", "--kafka", broker.bootstrap, "--topic", topic, "--kafka-group", group or f"g-{topic}")
    return (*dead, *more)


def dead_letters(topic: str) -> dict[str, str]:
    """Each test's topic of dead letters is its own."""
    return {"MAYFLY_KAFKA_DEAD_LETTERS": f"{topic}.dead"}


def serving(make_server: MakeServer, broker: Topics, topic: str, *more: str, **how: Any) -> Server:
    options = kafka(broker, topic, *more, group=how.pop("group", ""))
    return make_server(options=options, environment=dead_letters(topic), **how)


def id_of(message: Message, topic: str, retention: Retention = WEEK) -> str:
    """The id that its record has, by the rules."""
    birth = Ms(message.timestamp)
    return str(ImageId.of_record(birth, retention, "kafka", topic, message.partition, message.offset))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def consumers_of(server: Server) -> list[int]:
    """The consumers beneath a server."""
    found = []
    for pid in descendants(server.pid):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if b"consume" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def until_done(broker: Topics, topic: str, group: str = "") -> None:
    until(lambda: broker.lag(group or f"g-{topic}", topic) == 0, f"{topic} to be done")


def listed(server: Server) -> list[dict[str, Any]]:
    answer = server.get("/v1/images", params={"limit": 200})
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_a_record_becomes_an_image_and_a_replay_meets_itself(
    make_server: MakeServer, broker: Topics, photo: bytes
) -> None:
    topic = broker.create_topic(partitions=3)
    born = now_ms() - 3_600_000
    (message,) = broker.produce(topic, Message(photo, headers=(("content-type", b"image/jpeg"),), timestamp=born))
    server = serving(make_server, broker, topic).start()
    identity = id_of(message, topic)
    until(lambda: server.get(f"/v1/images/{identity}").status_code == 200, "the image")
    image = server.until_state(identity, "processed")
    assert image["source"] == "kafka"
    assert image["received_at"] == rfc3339(Ms(born))
    assert image["expires_at"] == rfc3339(WEEK.expires_at(Ms(born)))
    assert image["bytes"] == len(photo)
    assert server.get(f"/v1/images/{identity}/original").content == photo
    assert server.get(image["renditions"][0]["href"]).status_code == 200
    until_done(broker, topic)
    assert server.stop() == 0

    # Another group reads the topic from its beginning.
    again = serving(make_server, broker, topic, group=f"again-{topic}").start()
    until_done(broker, topic, f"again-{topic}")
    assert [one["id"] for one in listed(again)] == [identity]
    assert again.image(identity)["expires_at"] == image["expires_at"]
    assert again.image(identity)["attempts"] == 1


def test_poison_is_kept_as_rejected_with_its_letter_and_its_partition_goes_on(
    make_server: MakeServer, broker: Topics, small: bytes
) -> None:
    topic = broker.create_topic()
    first, poison, empty, last = broker.produce(topic, small, b"no image at all", b"", small + b"\0")
    server = serving(make_server, broker, topic).start()
    until_done(broker, topic)
    for good in (first, last):
        server.until_state(id_of(good, topic), "processed")
    assert server.image(id_of(poison, topic))["state"] == "rejected"
    assert server.get(f"/v1/images/{id_of(empty, topic)}").status_code == 404
    letters = broker.records(f"{topic}.dead")
    assert {letter.key for letter in letters} == {f"{topic}/0/{bad.offset}".encode() for bad in (poison, empty)}
    assert len(letters) == 2
    assert len(listed(server)) == 3


def test_an_image_that_decoding_rejects_has_its_letter_soon(
    make_server: MakeServer, broker: Topics, photo: bytes
) -> None:
    topic = broker.create_topic()
    (cut,) = broker.produce(topic, photo[: len(photo) // 2])
    server = serving(make_server, broker, topic).start()
    until_done(broker, topic)
    server.until_state(id_of(cut, topic), "rejected")
    until(lambda: f"{topic}.dead" in broker.admin().list_topics(timeout=10).topics, "the topic of dead letters")
    (letter,) = until(lambda: broker.records(f"{topic}.dead"), "the letter")
    assert letter.key == f"{topic}/0/{cut.offset}".encode()


def test_consumers_that_are_killed_lose_nothing_and_make_nothing_twice(
    make_server: MakeServer, broker: Topics, small: bytes
) -> None:
    topic = broker.create_topic(partitions=4)
    server = serving(make_server, broker, topic, "--kafka-consumers", "2").start()
    until(lambda: len(consumers_of(server)) == 2, "two consumers")
    made = broker.produce(topic, *(small + number.to_bytes(2, "big") for number in range(150)))
    for _ in range(3):
        victims = until(lambda: consumers_of(server), "a consumer")
        os.kill(victims[0], signal.SIGKILL)
    made += broker.produce(topic, *(small + number.to_bytes(2, "big") for number in range(150, 200)))
    until_done(broker, topic)
    assert sorted(one["id"] for one in listed(server)) == sorted(id_of(message, topic) for message in made)
    assert all(memory_of(pid) < RSS_BYTES for pid in consumers_of(server))


def test_a_stop_ends_the_consumers_too(make_server: MakeServer, broker: Topics, small: bytes) -> None:
    topic = broker.create_topic(partitions=2)
    broker.produce(topic, *[small] * 50)
    server = serving(make_server, broker, topic, "--kafka-consumers", "2").start()
    until(lambda: broker.committed(f"g-{topic}", topic), "the first commit")
    consumers = consumers_of(server)
    assert len(consumers) == 2
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < STOP_SECONDS
    assert not any(map(alive, consumers))
    assert "cut_short" not in server.log.read_text()
    # They left the group, rather than being missed.
    assert broker.members(f"g-{topic}") == []


def test_consumers_of_a_killed_owner_end_by_themselves(make_server: MakeServer, broker: Topics) -> None:
    topic = broker.create_topic()
    server = serving(make_server, broker, topic, "--kafka-consumers", "2").start()
    consumers = until(lambda: len(consumers_of(server)) == 2 and consumers_of(server), "two consumers")
    server.kill()
    until(lambda: not any(map(alive, consumers)), "their end")


def test_a_consumer_of_ones_own_outlives_its_owner_and_goes_on(
    make_server: MakeServer, broker: Topics, small: bytes
) -> None:
    topic = broker.create_topic()
    server = serving(make_server, broker, topic, "--kafka-consumers", "0").start()
    consumer = start_consumer(server, broker, topic)
    try:
        (first,) = broker.produce(topic, small)
        until_done(broker, topic)
        server.kill()
        (second,) = broker.produce(topic, small + b"\0")
        server.start()
        until_done(broker, topic)
        assert {one["id"] for one in listed(server)} == {id_of(first, topic), id_of(second, topic)}
        consumer.terminate()
        assert consumer.wait(STOP_SECONDS) == 0
    finally:
        consumer.kill()
        consumer.wait()


def test_a_broker_that_refuses_us_is_named_and_ends_it(make_server: MakeServer, broker: Topics) -> None:
    topic = broker.create_topic()
    server = serving(make_server, broker, topic, "--kafka-consumers", "0").start()
    done = subprocess.run(
        consume(server, broker, f"{topic}-missing"), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert f"{topic}-missing" in done.stderr


def consume(server: Server, broker: Topics, topic: str) -> list[str]:
    """The command of a consumer of one's own."""
    folders = ("--data", str(server.data), "--keys", str(server.keys))
    return [sys.executable, "-m", "mayfly", "consume", *kafka(broker, topic)[2:], *folders]


def start_consumer(server: Server, broker: Topics, topic: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "MAYFLY_LOG_FORMAT": "json", **dead_letters(topic)}
    return subprocess.Popen(consume(server, broker, topic), env=environment)
