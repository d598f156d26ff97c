"""What passes by itself (an owner that is away, a full disk, a write that hangs) dead-letters nothing, costs the
consumer no membership of its group, and in the end each image is there once."""

import contextlib
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from journeys.test_kafka import consume, dead_letters, id_of, kafka, listed, now_ms, serving, until_done
from mayfly.model.instant import Ms, minute_label
from mayfly.model.retention import Retention
from support.server import MakeServer, Server, until
from support.small_disk import SmallDisk
from support.topics import Message, Topics
from support.tracing import require_strace

ABSENCE_SECONDS = float(os.environ.get("MAYFLY_ABSENCE_SECONDS", "8"))
"""Longer than the test broker waits for a member that is silent (6 s). `MAYFLY_ABSENCE_SECONDS=60` shows a minute."""
PACE_SECONDS = 0.4
"""Between two records: a page of the list shows them all in the end."""
WEEK = Retention.parse("P7D")


@dataclass
class Records:
    """What was produced, and who read it when it was."""

    server: Server
    broker: Topics
    topic: str
    log: Path
    """The consumer's."""
    image: bytes
    made: list[Message] = field(default_factory=list)
    before: tuple[list[str], int] = ([], 0)

    def produce(self, *messages: Message) -> list[Message]:
        number = len(self.made).to_bytes(2, "big")
        self.made += self.broker.produce(self.topic, *(messages or (Message(self.image + number),)))
        return self.made

    def membership(self) -> tuple[list[str], int]:
        """Who is in the group, and how often the consumer was given partitions or lost some."""
        return self.broker.members(f"g-{self.topic}"), self.log.read_text().count('"partitions_held"')

    def begin(self) -> None:
        """One record is taken, so the consumer is a member."""
        self.produce()
        until_done(self.broker, self.topic)
        self.before = self.membership()
        assert len(self.before[0]) == 1

    def go_on(self, seconds: float) -> None:
        """Produce for so long; the membership stays as it was."""
        ended = time.monotonic() + seconds
        while time.monotonic() < ended:
            self.produce()
            assert self.membership() == self.before
            time.sleep(PACE_SECONDS)

    def check_end(self) -> None:
        """All is settled, by the same member; each image is there once, and nothing was dead-lettered."""
        until_done(self.broker, self.topic)
        assert self.membership() == self.before
        ids = sorted(id_of(message, self.topic) for message in self.made)
        assert sorted(one["id"] for one in listed(self.server)) == ids
        for identity in ids:
            self.server.until_state(identity, "processed")
        assert self.server.get("/v1/deadletters").json()["items"] == []
        topics = self.broker.admin().list_topics(timeout=10).topics
        dead = f"{self.topic}.dead"
        assert dead not in topics or self.broker.records(dead) == []

    def originals(self, names: list[str]) -> Counter[str]:
        return Counter(name.partition(".")[0] for name in names if ".original" in name)


@contextlib.contextmanager
def consuming(server: Server, broker: Topics, topic: str, log: Path, *wrapper: str) -> Iterator[None]:
    """A consumer of one's own beside the server."""
    environment = {**os.environ, "MAYFLY_LOG_FORMAT": "json", **dead_letters(topic)}
    with log.open("w") as errors:
        process = subprocess.Popen([*wrapper, *consume(server, broker, topic)], env=environment, stderr=errors)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def done_up_to(broker: Topics, topic: str, offset: int) -> bool:
    """Whether the group goes on from there in partition 1."""
    return broker.committed(f"g-{topic}", topic).get(1) == offset


def test_an_owner_that_is_killed_and_stays_away_costs_nothing(
    make_server: MakeServer, broker: Topics, tmp_path: Path, small: bytes
) -> None:
    topic, log = broker.create_topic(), tmp_path / "consumer.jsonl"
    server = serving(make_server, broker, topic, "--kafka-consumers", "0").start()
    with consuming(server, broker, topic, log):
        records = Records(server, broker, topic, log, small)
        records.begin()
        server.kill()
        records.go_on(ABSENCE_SECONDS)
        assert broker.lag(f"g-{topic}", topic) == len(records.made) - 1
        server.start()
        records.check_end()
        assert set(records.originals(server.objects()).values()) == {1}
    assert "partition_waits" in log.read_text()


def test_a_disk_that_is_full_for_a_while_costs_nothing(
    disk: SmallDisk, make_server: MakeServer, broker: Topics, small: bytes
) -> None:
    topic = broker.create_topic()
    server = make_server(options=kafka(broker, topic), environment=dead_letters(topic), wrapper=disk.wrapper()).start()
    records = Records(server, broker, topic, server.log, small)
    records.begin()
    server.until_state(id_of(records.made[0], topic), "processed")
    disk.fill()
    stored = disk.objects()
    records.produce()
    until(lambda: "partition_waits" in server.log.read_text(), "the consumer to wait")
    records.go_on(ABSENCE_SECONDS)
    assert disk.objects() == stored
    assert broker.lag(f"g-{topic}", topic) == len(records.made) - 1
    disk.clear()
    records.check_end()
    assert set(records.originals(disk.objects()).values()) == {1}


def test_a_write_that_hangs_holds_up_its_own_partition_alone(
    make_server: MakeServer, broker: Topics, tmp_path: Path, small: bytes
) -> None:
    require_strace("what a write that hangs costs")
    topic, log = broker.create_topic(partitions=2), tmp_path / "consumer.jsonl"
    server = serving(make_server, broker, topic, "--kafka-consumers", "0").start()
    slow = Message(small, partition=0, timestamp=now_ms() - 7_200_000)
    folder = server.data / "objects" / minute_label(WEEK.expiry_minute(Ms(slow.timestamp)))
    hangs = f"inject=fsync:delay_enter={ABSENCE_SECONDS:.0f}s"
    wrapper = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", str(tmp_path / "trace"), "-P", str(folder))
    with consuming(server, broker, topic, log, *wrapper, "-e", "trace=fsync", "-e", hangs):
        records = Records(server, broker, topic, log, small)
        records.begin()
        records.produce(slow)
        until(lambda: folder.exists(), "the write to begin")
        # Taken while the other one hangs: not only read.
        taken = 0
        began = time.monotonic()
        while time.monotonic() < began + ABSENCE_SECONDS / 2:
            records.produce(Message(small + bytes([taken]), partition=1))
            next_one = records.made[-1].offset + 1
            until(partial(done_up_to, broker, topic, next_one), "the other partition")
            assert records.membership() == records.before
            taken += 1
            time.sleep(PACE_SECONDS)
        assert server.get(f"/v1/images/{id_of(records.made[1], topic)}").status_code == 404, "it still hangs"
        assert taken > 1
        records.check_end()
        assert time.monotonic() - began >= ABSENCE_SECONDS - 1
