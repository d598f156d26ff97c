"""`mayfly doctor` on a real broker: each fault is planted, found, mended by what was printed, and found no more."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from mayfly.adapters.kafka import readers
from mayfly.cli.doctor import kafka_checks
from mayfly.operations.check import Check
from mayfly.settings import Settings
from support.broker import PASSWORD, USER, Broker
from support.broker_tools import run_line
from support.certificate import write_certificate
from support.pages import blocks
from support.server import until
from support.topics import Message, Topics

MakeBroker = Callable[..., Broker]
HOUR = 60 * 60 * 1000
SOUND = {
    "retention.ms": "500000000",
    "segment.ms": "3600000",
    "message.timestamp.type": "LogAppendTime",
    "message.timestamp.after.max.ms": "3600000",
    "cleanup.policy": "delete",
    "retention.bytes": "-1",
    "max.message.bytes": "11534336",
}
FAULTS = {
    "retention": {"segment.ms": "604800000"},
    "timestamps": {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": str(2**63 - 1)},
    "message size": {"max.message.bytes": "1048588"},
    "cleanup": {"cleanup.policy": "compact,delete"},
    "size limit": {"retention.bytes": "1000000"},
}
"""By the check that finds it."""
NAMED_WITHIN_SECONDS = 5.0


Checks = Mapping[str, Check]


@dataclass(frozen=True)
class Doctor:
    """What of it looks at Kafka, by settings from the environment."""

    environment: Mapping[str, str]

    def look(self, **more: str) -> Checks:
        """Every check, by its name."""
        environment = {**self.environment, **more}
        settings = Settings.load(None, {}, environment)
        return {check.name: check for check in kafka_checks(settings, environment)}


def not_sound(checks: Checks, topic: str) -> set[str]:
    """What is wrong with a topic, but that this broker has no second one to keep a replica."""
    bad = [name for name, check in checks.items() if check.verdict != "ok" and f"{name} ".startswith(f"topic {topic} ")]
    return {name.removeprefix(f"topic {topic}").strip() for name in bad} - {"replication"}


@pytest.fixture
def sound(broker: Topics) -> str:
    topic = broker.create_topic()
    broker.alter(topic, SOUND)
    return topic


@pytest.fixture
def doctor(broker: Topics, sound: str) -> Doctor:
    return Doctor({"MAYFLY_KAFKA": broker.bootstrap, "MAYFLY_TOPIC": sound})


def test_a_sound_topic_is_found_sound(doctor: Doctor, sound: str) -> None:
    checks = doctor.look()
    assert checks["kafka"].verdict == "ok"
    assert checks["topics made by themselves"].verdict == "ok"
    assert not_sound(checks, sound) == set()


def test_each_planted_fault_is_found_and_the_printed_commands_mend_them_all(
    doctor: Doctor, sound: str, broker: Topics, kafka_tools: Path
) -> None:
    for name, fault in FAULTS.items():
        broker.alter(sound, SOUND | fault)
        assert not_sound(doctor.look(), sound) == {name}, fault
        broker.alter(sound, SOUND)
        assert not_sound(doctor.look(), sound) == set()
    for fault in FAULTS.values():
        broker.alter(sound, fault)
    checks = doctor.look()
    assert not_sound(checks, sound) == FAULTS.keys()
    for name in FAULTS:
        run_line(checks[f"topic {sound} {name}"].fix, kafka_tools)
    assert not_sound(doctor.look(), sound) == set()


def test_the_command_prints_what_is_found_and_how_to_mend_it(doctor: Doctor, broker: Topics, sound: str) -> None:
    broker.alter(sound, FAULTS["retention"])
    command = [sys.executable, "-m", "mayfly", "doctor"]
    environment = {**os.environ, **doctor.environment}
    told = [
        subprocess.run([*command, *more], env=environment, capture_output=True, text=True, timeout=60, check=False)
        for more in ((), ("--json",))
    ]
    assert [one.returncode for one in told] == [1, 1]
    assert [one.stderr for one in told] == ["", ""]
    found = {check["name"]: check for check in json.loads(told[1].stdout)}[f"topic {sound} retention"]
    assert (found["verdict"], bool(found["why"])) == ("failed", True)
    assert f"\n         {found['fix']}\n" in told[0].stdout


def test_a_missing_topic_is_made_by_the_printed_command(doctor: Doctor, kafka_tools: Path, broker: Topics) -> None:
    names = [f"{kind}-of-{broker.create_topic()}" for kind in ("photos", "letters", "events")]
    told = {"MAYFLY_TOPIC": names[0], "MAYFLY_KAFKA_DEAD_LETTERS": names[1], "MAYFLY_KAFKA_EVENTS": names[2]}
    checks = doctor.look(**told)
    assert [checks[f"topic {name}"].verdict for name in names] == ["failed", "warning", "failed"]
    admin = broker.admin()
    assert not set(names) & admin.list_topics(timeout=10).topics.keys(), "looking makes no topic"
    for name in names:
        run_line(checks[f"topic {name}"].fix, kafka_tools)
    mended = doctor.look(**told)
    assert [not_sound(mended, name) for name in names] == [set()] * 3


def test_a_copy_that_outlived_its_image_and_other_readers_are_found(doctor: Doctor, broker: Topics, sound: str) -> None:
    old = round(time.time() * 1000) - 8 * 24 * HOUR
    broker.alter(sound, {"message.timestamp.type": "CreateTime", "retention.ms": "-1"})
    broker.produce(sound, Message(b"x", timestamp=old))
    group = f"others-of-{sound}"
    broker.commit(group, sound, {0: 1})
    checks = doctor.look(MAYFLY_KAFKA_TRIM="true")
    assert {"oldest record", "other readers", "retention"} <= not_sound(checks, sound)
    assert "8 d" in checks[f"topic {sound} oldest record"].found
    assert group in checks[f"topic {sound} other readers"].found
    assert checks[f"topic {sound} other readers"].verdict == "failed"
    assert doctor.look(MAYFLY_KAFKA_GROUP=group)[f"topic {sound} other readers"].verdict == "ok"
    # What keeps it is mended, and so it goes.
    broker.alter(sound, SOUND)
    until(lambda: "oldest record" not in not_sound(doctor.look(), sound), "the broker to delete it")


def test_who_reads_and_commits_nothing_is_a_reader(doctor: Doctor, broker: Topics, sound: str) -> None:
    group = f"watches-{sound}"
    reader = Consumer(broker.client(**{"group.id": group, "enable.auto.commit": False}))
    try:
        reader.subscribe([sound])
        until(lambda: reader.poll(0.1) or reader.assignment(), "the group to be given its partition")
        assert doctor.look()[f"topic {sound} other readers"].found == f"groups {group}"
    finally:
        reader.close()


def test_a_group_that_only_reads_elsewhere_is_no_reader(doctor: Doctor, broker: Topics, sound: str) -> None:
    elsewhere = broker.create_topic()
    broker.commit(f"others-of-{elsewhere}", elsewhere, {0: 0})
    assert doctor.look()[f"topic {sound} other readers"].verdict == "ok"


def test_where_groups_are_too_many_to_ask_them_all_it_is_said(
    doctor: Doctor, broker: Topics, sound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = broker.create_topic()
    for group in (f"a-of-{elsewhere}", f"b-of-{elsewhere}"):
        broker.commit(group, elsewhere, {0: 0})
    monkeypatch.setattr(readers, "MOST_GROUPS", 1)
    check = doctor.look()[f"topic {sound} other readers"]
    assert (check.verdict, check.found.endswith("groups, and no more than 1 are asked")) == ("warning", True)


def test_topics_that_make_themselves_are_found_and_none_is_made_by_looking(make_broker: MakeBroker) -> None:
    own = make_broker(settings={"auto.create.topics.enable": "true"}).start()
    checks = Doctor({"MAYFLY_KAFKA": own.bootstrap, "MAYFLY_TOPIC": "photos"}).look()
    assert checks["topics made by themselves"].verdict == "warning"
    assert checks["topic photos"].found == "does not exist"
    admin = own.admin()
    assert "photos" not in admin.list_topics(timeout=10).topics


@pytest.fixture(scope="module")
def secured(can_start_brokers: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    own = Broker(tmp_path_factory.mktemp("secured"), secured=True)
    try:
        yield own.start()
    finally:
        own.close()


def secured_by(broker: Broker, protocol: str, **more: str) -> dict[str, str]:
    settings = {"kafka": broker.address(protocol), "topic": "photos", "kafka_protocol": protocol}
    if protocol.startswith("SASL"):
        settings |= {"kafka_mechanism": "SCRAM-SHA-512", "kafka_username": USER, "kafka_password": "env:SECRET"}
    if protocol.endswith("SSL"):
        settings |= {"kafka_ca": str(broker.certificate)}
    return {f"MAYFLY_{name.upper()}": value for name, value in (settings | more).items()}


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SSL", "SASL_SSL"])
def test_who_is_let_in_finds_the_topics(secured: Broker, protocol: str) -> None:
    environment = {**secured_by(secured, protocol), "SECRET": PASSWORD}
    checks = Doctor(environment).look()
    assert checks["kafka"].verdict == "ok"
    assert "--command-config client.properties --create --topic photos" in checks["topic photos"].fix


def test_the_printed_command_runs_with_the_pages_file_where_the_cluster_asks_who_we_are(
    secured: Broker, tmp_path: Path, kafka_tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((_, page),) = ((place, text) for place, text in blocks("properties") if "kafka-topics" in place)
    (tmp_path / "client.properties").write_text(page.replace('"..."', f'"{PASSWORD}"'))
    (tmp_path / "ca.pem").write_bytes(secured.certificate.read_bytes())
    doctor = Doctor({**secured_by(secured, "SASL_SSL", topic="made"), "SECRET": PASSWORD})
    monkeypatch.chdir(tmp_path)
    run_line(doctor.look()["topic made"].fix, kafka_tools)
    assert not_sound(doctor.look(), "made") == set()


def test_the_pages_commands_make_a_sound_topic_and_fill_it(
    broker: Topics, kafka_tools: Path, tmp_path: Path, small: bytes
) -> None:
    topic = broker.create_topic() + "-of-the-page"
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(small)
    (kafka_tools / "mayfly").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mayfly "$@"\n')
    (kafka_tools / "mayfly").chmod(0o755)
    shown = dict(blocks("sh"))
    (produced,) = (text for text in shown.values() if text.startswith("mayfly produce holiday"))
    for text in (shown["docs/howto/kafka-topics.md:1"], shown["docs/howto/kafka-topics.md:2"], produced):
        line = text.replace("127.0.0.1:9092", broker.bootstrap).replace("photos", topic)
        run_line(f"cd {shlex.quote(str(tmp_path))} && {line}", kafka_tools)
    assert not_sound(Doctor({"MAYFLY_KAFKA": broker.bootstrap, "MAYFLY_TOPIC": topic}).look(), topic) == set()
    (written,) = broker.records(topic)
    assert written.value == small


def test_a_refusal_is_named_in_seconds_and_shows_no_secret(secured: Broker, tmp_path: Path) -> None:
    other, _ = write_certificate(tmp_path)
    wrong = {"SECRET": "wrong-horse"}
    cases = [
        (secured_by(secured, "SASL_PLAINTEXT") | wrong, "kafka_password"),
        (secured_by(secured, "SASL_SSL") | wrong, "kafka_password"),
        (secured_by(secured, "SSL", kafka_ca=str(other)), "kafka_ca"),
        (secured_by(secured, "SSL", kafka=secured.address("PLAINTEXT")), "PLAINTEXT broker listener"),
        ({"MAYFLY_KAFKA": secured.address("SSL"), "MAYFLY_TOPIC": "photos"}, "kafka_protocol"),
        ({"MAYFLY_KAFKA": "127.0.0.1:1", "MAYFLY_TOPIC": "photos"}, "no broker answers"),
    ]
    for environment, named in cases:
        began = time.monotonic()
        check = Doctor(environment).look()["kafka"]
        seconds = time.monotonic() - began
        assert check.verdict == "failed"
        assert named in check.found
        assert "wrong-horse" not in check.found
        assert seconds < NAMED_WITHIN_SECONDS, (named, seconds)
