"""The broker that other tests rely on is a real one, and comes back with what it had."""

import hashlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from support.broker import PASSWORD, USER, Broker
from support.broker_tools import run_line
from support.processes import alive
from support.server import until
from support.stream_guests import Guests
from support.stream_plan import plan
from support.stream_producer import Writer
from support.topics import Message, Topics, header

MakeBroker = Callable[..., Broker]


def test_what_is_written_can_be_read_up_to_ten_mebibytes(broker: Topics) -> None:
    topic = broker.create_topic(partitions=3)
    large = Message(b"x" * 10_485_760, key=b"large", headers=(("ce_id", b"1"), ("none", None)), partition=2)
    written = broker.produce(topic, Message(b"small", partition=0), large)
    assert sorted(written, key=lambda message: message.partition) == broker.records(topic)
    found = broker.records(topic)[-1]
    assert (found.key, found.value, found.partition, found.offset) == (b"large", large.value, 2, 0)
    assert header(found, "ce_id") == b"1"
    assert header(found, "none") is None


def test_a_groups_offsets_are_set_and_counted_from(broker: Topics) -> None:
    topic = broker.create_topic(partitions=2)
    broker.produce(topic, *(Message(b"x", partition=n % 2) for n in range(6)))
    group = f"group-of-{topic}"
    assert broker.lag(group, topic) == 6
    broker.commit(group, topic, {0: 3, 1: 1})
    assert broker.committed(group, topic) == {0: 3, 1: 1}
    assert broker.lag(group, topic) == 2
    assert broker.bounds(topic) == {0: (0, 3), 1: (0, 3)}


def test_the_lines_of_kafkas_manual_run(broker: Topics, kafka_tools: Path) -> None:
    topic = broker.create_topic()
    change = "--alter --add-config retention.ms=5000,segment.ms=2000"
    place = f"--bootstrap-server {broker.bootstrap}"
    run_line(f"kafka-configs.sh {place} {change} --topic {topic}", kafka_tools)
    assert broker.describe(topic)["retention.ms"] == "5000"
    assert "segment.ms=2000" in run_line(f"kafka-topics.sh {place} --describe --topic {topic}", kafka_tools)
    with pytest.raises(AssertionError, match="no-such-topic"):
        run_line(f"kafka-topics.sh {place} --describe --topic no-such-topic", kafka_tools)


def test_a_killed_broker_comes_back_with_its_records_and_offsets(make_broker: MakeBroker) -> None:
    own = make_broker(secured=True).start()
    topic = own.create_topic()
    own.produce(topic, b"first")
    own.commit("group", topic, {0: 1})
    own.kill()
    assert not alive(own.pid)
    own.start()
    assert [message.value for message in own.records(topic)] == [b"first"]
    assert own.committed("group", topic) == {0: 1}
    for listener, others in LISTENERS.items():
        admin = AdminClient(
            {**own.client(**others), "bootstrap.servers": own.address(listener), **trust(own, listener)}
        )
        assert topic in admin.list_topics(timeout=10).topics
    stranger = AdminClient({**own.client(), "bootstrap.servers": own.address("SSL"), "security.protocol": "SSL"})
    with pytest.raises(KafkaException):
        stranger.list_topics(timeout=1)
    own.stop()
    assert not alive(own.pid)


LISTENERS = {
    "SASL_PLAINTEXT": {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": USER, "sasl.password": PASSWORD},
    "SSL": {},
    "SASL_SSL": {"sasl.mechanism": "SCRAM-SHA-256", "sasl.username": USER, "sasl.password": PASSWORD},
}


def trust(own: Broker, listener: str) -> dict[str, str]:
    protocol = {"security.protocol": listener}
    return protocol | ({"ssl.ca.location": str(own.certificate)} if "SSL" in listener else {})


STARTS_AND_WAITS = """
import sys, threading
from pathlib import Path
from support.broker import Broker
broker = Broker(Path(sys.argv[1]))
starter = threading.Thread(target=broker.start)
starter.start()
starter.join()
print(broker.pid, flush=True)
sys.stdin.read()
"""


def test_a_broker_outlives_the_thread_that_started_it_but_not_the_tests(
    can_start_brokers: None, tmp_path: Path
) -> None:
    tests = Path(__file__).resolve().parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_WAITS, str(tmp_path / "broker")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tests)},
    ) as runner:
        assert runner.stdout is not None
        pid = int(runner.stdout.readline())
        assert alive(pid)
        runner.send_signal(signal.SIGKILL)
    until(lambda: not alive(pid), "the broker to end with its tests", 10)


def test_a_campaigns_messages_stand_in_the_topic_as_planned_and_guests_take_partitions(broker: Topics) -> None:
    topic, group = broker.create_topic(partitions=3, retention_ms="-1"), f"group-{uuid.uuid4().hex}"
    writer = Writer(broker, topic, plan(60, 3, seed=4))
    # A whole consumer as the fourth guest would do nothing that is looked at here.
    guests = Guests(broker, group, topic, ["false"], {}, 0.1, lambda: 1)
    with writer.writing(ahead=10), guests.coming():
        assert len(writer.sent) >= 10
        until(lambda: guests.held >= 6, "two guests")
    found = {f"{topic}/{m.partition}/{m.offset}": m.value or b"" for m in broker.records(topic)}
    assert {one.key: one.sha256 for one in writer.sent} == {
        key: hashlib.sha256(value).hexdigest() for key, value in found.items()
    }
    assert [one.kind for one in writer.sent].count("small") > 30
    assert len(writer.sent) == 60
    assert broker.members(group) == []
    assert broker.committed(group, topic) == {}


def test_a_message_that_is_refused_is_told(broker: Topics) -> None:
    topic = broker.create_topic(max_message_bytes="1000")
    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"), Writer(broker, topic, plan(9, 1, 1)).writing(9):
        pass
