"""A server that tells a topic what happens, through a broker's death."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from journeys.test_metrics import figure
from support.broker import PASSWORD, USER, Broker
from support.pages import ROOT, python_of
from support.server import MakeServer, Server, until
from support.topics import Topics, header

MakeBroker = Callable[..., Broker]
PAGE = ROOT / "docs" / "howto" / "kafka-events.md"


def told(broker: Topics, topic: str) -> list[tuple[str, str]]:
    """The image and its state, as they stand in the topic."""
    events = [json.loads(message.value or b"") for message in broker.records(topic)]
    return [(event["subject"], event["data"]["state"]) for event in events]


def config_of(broker: Topics, topic: str) -> str:
    return f'kafka = "{broker.bootstrap}"\nkafka_events = "{topic}"\n'


def lines(server: Server, name: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == name]


def test_a_topic_is_told_in_order_and_the_pages_reader_reads_it(
    broker: Topics, make_server: MakeServer, small: bytes
) -> None:
    topic = broker.create_topic(partitions=3)
    server = make_server(config=config_of(broker, topic), options=("--workers", "1")).start()
    images = [server.upload(small)["id"] for _ in range(3)]
    for image in images:
        server.until_state(image, "processed")
        assert server.request("DELETE", f"/v1/images/{image}").status_code == 204
    until(lambda: len(told(broker, topic)) == 6, "every event to be there")
    found = told(broker, topic)
    for image in images:
        assert [state for subject, state in found if subject == image] == ["processed", "purged"]
    message = broker.records(topic)[0]
    assert (message.key or b"").decode() in images
    assert header(message, "content-type") == b"application/cloudevents+json"
    assert json.loads(message.value or b"")["data"].keys() == {"id", "state", "reason", "hrefs", "expires_at"}
    until(lambda: figure(server, "mayfly_events_delivered_total", sink="kafka") == 6, "them to be counted")

    program = python_of(PAGE).replace("127.0.0.1:9092", broker.bootstrap).replace("mayfly.events", topic)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert {line.split()[0] for line in run.stdout.splitlines()} <= set(images)
    assert run.stdout.endswith("purged\n")


def test_what_happens_while_the_broker_is_dead_is_told_afterwards(
    make_broker: MakeBroker, make_server: MakeServer, small: bytes
) -> None:
    own = make_broker().start()
    topic = own.create_topic()
    server = make_server(config=config_of(own, topic), options=("--workers", "1")).start()
    first = server.upload(small)["id"]
    until(lambda: (first, "processed") in told(own, topic), "the first event")
    own.kill()
    second = server.upload(small)["id"]
    server.until_state(second, "processed")
    until(lambda: bool(lines(server, "sink_waits")), "the absence to be told", 40)
    own.start()
    until(lambda: (second, "processed") in told(own, topic), "the second event", 40)
    until(lambda: bool(lines(server, "sink_back")), "its end to be told")
    assert server.stop() == 0


def test_a_wrong_password_is_named_in_the_log_and_not_shown(
    make_broker: MakeBroker, make_server: MakeServer, small: bytes
) -> None:
    own = make_broker(secured=True).start()
    topic = own.create_topic()
    config = config_of(own, topic).replace(own.bootstrap, own.address("SASL_PLAINTEXT")) + (
        'kafka_protocol = "SASL_PLAINTEXT"\nkafka_mechanism = "SCRAM-SHA-512"\n'
        f'kafka_username = "{USER}"\nkafka_password = "env:SECRET"\n'
    )
    for secret in ("wrong-horse", PASSWORD):
        server = make_server(secret, config=config, environment={"SECRET": secret}, options=("--workers", "1")).start()
        image = server.upload(small)["id"]
        server.until_state(image, "processed")
        if secret == PASSWORD:
            until(lambda image=image: (image, "processed") in told(own, topic), "the event")  # type: ignore[misc]
        else:
            until(lambda server=server: bool(lines(server, "sink_waits")), "it to be told", 40)  # type: ignore[misc]
            assert "invalid credentials" in lines(server, "sink_waits")[0]["reason"]
        assert secret not in server.log.read_text()
        assert server.stop() == 0
