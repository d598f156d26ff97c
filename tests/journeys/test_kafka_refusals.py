"""Brokers that refuse us are named within seconds, by the consumer and by `mayfly up`, which goes on; nothing that
anybody may read holds a secret."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from journeys.test_kafka import consume, consumers_of
from support.broker import PASSWORD, USER, Broker
from support.certificate import write_certificate
from support.processes import descendants
from support.server import MakeServer, Server, until

NAMED_WITHIN_SECONDS = 5.0
WRONG = "wrong-battery-staple"


@pytest.fixture(scope="module")
def secured(can_start_brokers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    own = Broker(tmp_path_factory.mktemp("secured"), secured=True)
    try:
        own.start().create_topic("photos")
        yield own
    finally:
        own.close()


@dataclass(frozen=True)
class Refusal:
    """What is set up wrongly, and what has to be named."""

    environment: dict[str, str]
    named: str


@pytest.fixture(params=["password", "certificate"])
def refusal(request: pytest.FixtureRequest, secured: Broker, tmp_path: Path) -> Refusal:
    settings = {
        "protocol": "SASL_SSL",
        "ca": str(secured.certificate),
        "mechanism": "SCRAM-SHA-512",
        "username": USER,
        "password": "env:SECRET",
    }
    secret, named = PASSWORD, "kafka_password"
    if request.param == "password":
        secret = WRONG
    else:
        settings["ca"], named = str(write_certificate(tmp_path)[0]), "kafka_ca"
    environment = {f"MAYFLY_KAFKA_{name.upper()}": value for name, value in settings.items()}
    return Refusal({**environment, "SECRET": secret, "MAYFLY_LOG_FORMAT": "json"}, named)


def doors(broker: Broker) -> tuple[str, ...]:
    return ("--kafka", broker.address("SASL_SSL"), "--topic", "photos", "--kafka-group", "refused")


def command_lines(*pids: int) -> bytes:
    return b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids)


def told(server: Server) -> list[dict[str, Any]]:
    """What the log says of anything that is misconfigured."""
    lines = [json.loads(line) for line in server.log.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["event"] == "misconfigured"]


def seconds_between(first: dict[str, str], second: dict[str, str]) -> float:
    """From one line of a log to another one."""
    began, ended = (datetime.fromisoformat(line["timestamp"]) for line in (first, second))
    return (ended - began).total_seconds()


def test_a_refusal_is_named_within_five_seconds_and_http_goes_on(
    make_server: MakeServer, secured: Broker, refusal: Refusal, small: bytes
) -> None:
    server = make_server(options=("--workers", "1", *doors(secured)), environment=refusal.environment).start()
    (consumer,) = until(lambda: consumers_of(server), "the consumer")
    shown = command_lines(server.pid, *descendants(server.pid))
    assert b"photos" in shown
    until(lambda: told(server), "the log to name it")
    assert refusal.named in told(server)[0]["reason"]
    until(lambda: consumer not in consumers_of(server), "the consumer to end")
    server.until_state(server.upload(small)["id"], "processed")

    folders = ("--data", str(server.data), "--keys", str(server.keys))
    command = [*consume(server, secured, "photos"), *doors(secured), *folders]
    with subprocess.Popen(
        command, env={**os.environ, **refusal.environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as own:
        shown += command_lines(own.pid)
        output, errors = own.communicate(timeout=60)
    assert own.returncode == 2
    assert refusal.named in errors.splitlines()[-1]
    lines = {line["event"]: line for line in map(json.loads, errors.splitlines()[:-1])}
    assert refusal.named in lines["stream_refused"]["reason"]
    assert seconds_between(lines["started"], lines["stopped"]) < NAMED_WITHIN_SECONDS, errors
    assert server.stop() == 0
    everything = output + errors + server.log.read_text(encoding="utf-8") + shown.decode()
    assert PASSWORD not in everything
    assert WRONG not in everything
