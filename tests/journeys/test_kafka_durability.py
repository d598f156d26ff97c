"""Durable before settled, seen from outside: what a consumer and its owner asked the kernel for before the first byte
of the group's offset commit leaves."""

import codecs
import os
import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from journeys.test_durability import TRACED, Call, Disk, calls, wait_for_a_quiet_stretch, without_syncs_of
from journeys.test_kafka import consumers_of, dead_letters, id_of, kafka, now_ms, until_done
from support.server import MakeServer, Server, until
from support.topics import Message, Topics
from support.tracing import require_strace

OFFSET_COMMIT = 8
"""Its number among Kafka's requests (https://kafka.apache.org/protocol.html#protocol_api_keys)."""
SENDS = ("sendto", "sendmsg")
PASSING = ("clock.tick", "mayfly.db-shm", "owner.lock")
"""Written at any time, and no part of a record."""

_BYTES = re.compile(r'"((?:[^"\\]|\\.)*)"')


def sent(call: Call) -> bytes:
    """The first bytes of what a call sends."""
    return b"".join(codecs.escape_decode(text.encode("latin-1"))[0] for text in _BYTES.findall(call.arguments))


def commits(call: Call, topic: str) -> bool:
    """Whether it begins to send a request that commits an offset of the topic: after the size come the number of the
    request and its version, two bytes each, and an id of four."""
    if call.ended or call.name not in SENDS:
        return False
    body = sent(call)
    return int.from_bytes(body[4:6]) == OFFSET_COMMIT and topic.encode() in body


def disk_at_commit(lines: Sequence[str], topic: str, roots: tuple[Path, ...]) -> Disk:
    """The disk when the first byte of the topic's first commit leaves."""
    disk = Disk(roots)
    for call in calls(list(lines)):
        if commits(call, topic):
            return disk
        disk.play(call)
    raise AssertionError(f"no commit of {topic} is in the trace")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    require_strace("that images are synced before a group's offsets are committed")
    return tmp_path / "trace"


def held_worker(server: Server, body: bytes) -> int:
    """The pid of the only worker, stopped with an image in its hands."""
    server.until_state(server.upload(body)["id"], "processed")
    (worker,) = set(server.children()) - set(consumers_of(server))
    os.kill(worker, signal.SIGSTOP)
    server.until_state(server.upload(body)["id"], "processing")
    return worker


@pytest.fixture
def traced(make_server: MakeServer, broker: Topics, trace: Path, small: bytes) -> Iterator[tuple[Server, str]]:
    """A server and its consumer under one tracer, and their topic. The only worker is stopped with an image in its
    hands: nothing but the stream writes to the folders."""
    topic = broker.create_topic()
    # --seccomp-bpf: what is not traced costs nothing.
    wrapper = (
        "strace",
        "-D",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-y",
        "-s",
        "600",
        "-o",
        str(trace),
        "-e",
        f"trace={TRACED}",
    )
    environment = dead_letters(topic) | {"MAYFLY_WORKER_SECONDS": "600"}
    server = make_server(options=kafka(broker, topic), environment=environment, wrapper=wrapper).start()
    worker = held_worker(server, small)
    until(lambda: broker.members(f"g-{topic}"), "the consumer")
    yield server, topic
    os.kill(worker, signal.SIGCONT)
    server.stop()


def test_a_record_would_survive_a_power_cut_before_the_first_byte_of_its_offsets_commit(
    traced: tuple[Server, str], broker: Topics, trace: Path, small: bytes
) -> None:
    server, topic = traced
    roots = (server.data, server.keys)
    wait_for_a_quiet_stretch()
    # An hour old: the folder of its minute is new, so its name has to be made durable too.
    (message,) = broker.produce(topic, Message(small, timestamp=now_ms() - 3_600_000))
    until_done(broker, topic)
    identity = id_of(message, topic)
    assert server.image(identity)["state"] == "received"

    def lines() -> list[str]:
        return trace.read_text(encoding="utf-8", errors="replace").splitlines()

    # The tracer writes a little later than they do.
    until(lambda: any(commits(call, topic) for call in calls(lines())), "the commit in the trace")
    found = lines()
    disk = disk_at_commit(found, topic, roots)
    assert {path for path in disk.unsynced if path.name not in PASSING} == set()

    (folder,) = {path.parent for path in server.files() if path.name == f"{identity}.original.original"}
    part = next(path for path in disk.synced if path.name.startswith(identity) and path.suffix == ".part")
    log = server.data / "mayfly.db-wal"
    last = len(disk.synced) - 1 - disk.synced[::-1].index(log)
    assert disk.synced.index(part) < disk.synced.index(folder) < last
    for needed in (part, folder, folder.parent, log):
        assert needed in disk_at_commit(without_syncs_of(found, needed), topic, roots).unsynced, (
            f"the trace does not show that {needed} is needed"
        )
