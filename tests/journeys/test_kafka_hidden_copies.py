"""Copies of an image that stand elsewhere: its record in the topic, the file that a claim check points to. And a dead
letter that cannot be written, which holds up its own partition alone."""

import hashlib
import json
from functools import partial
from pathlib import Path

from journeys.test_kafka import dead_letters, id_of, kafka, listed, serving, until_done
from journeys.test_kafka_letters import letters
from journeys.test_kafka_outages import done_up_to
from support.server import MakeServer, Server, until
from support.topics import Message, Topics


def events(server: Server, event: str) -> list[str]:
    """The reasons beside an event in the log."""
    lines = map(json.loads, server.log.read_text(encoding="utf-8").splitlines())
    return [str(line.get("reason")) for line in lines if line["event"] == event]


def test_what_is_durable_is_trimmed_but_no_open_letter_and_nothing_that_others_read(
    make_server: MakeServer, broker: Topics, small: bytes
) -> None:
    topic = broker.create_topic(partitions=2)
    poison = 2
    bodies = (small, small + b"\1", b"no image at all", small + b"\2")
    broker.produce(topic, *(Message(body, partition=0) for body in bodies))
    broker.produce(topic, *(Message(small + b"\3" + bytes([number]), partition=1) for number in range(3)))
    other = f"other-{topic}"
    broker.commit(other, topic, {0: 0})
    server = make_server(
        movable=True, options=kafka(broker, topic), environment=dead_letters(topic), config="kafka_trim = true\n"
    ).start()
    until_done(broker, topic)
    server.move_clock(60)
    (reason,) = until(lambda: events(server, "trim_waits"), "the other group to be told of")
    assert other in reason
    assert broker.bounds(topic) == {0: (0, 4), 1: (0, 3)}
    assert set(letters(server)) == {poison}

    admin = broker.admin()
    admin.delete_consumer_groups([other])[other].result(30)
    server.move_clock(180)
    until(lambda: broker.bounds(topic) == {0: (poison, 4), 1: (3, 3)}, "the topic to be trimmed")
    assert len(events(server, "trim_resumes")) == 1
    assert len(listed(server)) == 7


def claim(path: Path, body: bytes, *, sha256: str | None = None) -> Message:
    told = {"uri": path.as_uri(), "sha256": sha256 or hashlib.sha256(body).hexdigest(), "bytes": len(body)}
    return Message(json.dumps(told).encode(), headers=(("content-type", b"application/json"),))


def test_a_claimed_file_goes_once_its_image_is_here_and_what_nobody_allowed_stays(
    make_server: MakeServer, broker: Topics, small: bytes, tmp_path: Path
) -> None:
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    for folder in (allowed, outside):
        folder.mkdir()
    files = {name: allowed / name for name in ("good", "changed", "twin", "link")}
    secret = outside / "secret"
    for path in (files["good"], files["changed"], files["twin"], secret):
        path.write_bytes(small)
    (outside / "twin").hardlink_to(files["twin"])
    files["link"].symlink_to(secret)
    (allowed / "way").symlink_to(outside, target_is_directory=True)
    topic = broker.create_topic()
    written = broker.produce(
        topic,
        claim(files["good"], small),
        claim(files["changed"], small, sha256="0" * 64),
        claim(files["twin"], small),
        claim(files["link"], small),
        claim(allowed / "way" / "secret", small),
        claim(secret, small),
        claim(allowed / ".." / "outside" / "secret", small),
    )
    environment = dead_letters(topic) | {"MAYFLY_KAFKA_CLAIMS": str(allowed)}
    server = make_server(options=kafka(broker, topic), environment=environment).start()
    until_done(broker, topic)
    good = id_of(written[0], topic)
    server.until_state(good, "processed")
    assert server.get(f"/v1/images/{good}/original").content == small
    reasons = {offset: letter["reason"] for offset, letter in letters(server).items()}
    refused = dict.fromkeys(range(2, 7), "claim-refused")
    assert reasons == {1: "claim-mismatch", **refused}
    assert not files["good"].exists()
    assert secret.read_bytes() == small
    assert all(path.exists() for name, path in files.items() if name != "good")


def test_a_dead_letter_that_cannot_be_written_holds_up_its_own_partition_alone(
    make_server: MakeServer, broker: Topics, small: bytes
) -> None:
    topic = broker.create_topic(partitions=2)
    graves = broker.create_topic(f"{topic}.dead", max_message_bytes="64")
    broker.produce(topic, *(Message(body, partition=0) for body in (small, b"no image at all", small + b"\1")))
    server = serving(make_server, broker, topic).start()
    until(lambda: events(server, "partition_waits"), "the partition to wait")
    for number in range(5):
        (quick,) = broker.produce(topic, Message(small + b"\2" + bytes([number]), partition=1))
        until(partial(done_up_to, broker, topic, quick.offset + 1), "the other partition")
    assert broker.committed(f"g-{topic}", topic)[0] == 1
    assert broker.records(graves) == []

    broker.alter(graves, {"max.message.bytes": "65536"})
    until_done(broker, topic)
    (letter,) = broker.records(graves)
    assert letter.key == f"{topic}/0/1".encode()
    assert len(events(server, "partition_resumes")) == 1
    assert len(listed(server)) == 8
