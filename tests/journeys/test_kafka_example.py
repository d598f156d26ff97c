"""examples/kafka: a broker with its settings, its topics, its producer, and a Mayfly that takes what comes."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mayfly.cli.doctor import kafka_checks
from mayfly.settings import Settings
from support.broker import Broker
from support.broker_tools import run_line
from support.pages import ROOT, blocks
from support.server import MakeServer, until

EXAMPLE = ROOT / "examples" / "kafka"
PLACE = "127.0.0.1:9092"
OWN = ("listeners", "advertised.listeners", "log.dirs", "controller.quorum.voters", "listener.security.protocol.map")
"""What each broker of the tests has for itself."""


def properties() -> dict[str, str]:
    lines = [line for line in (EXAMPLE / "server.properties").read_text().splitlines() if line and line[0] != "#"]
    return {name: value for name, _, value in (line.partition("=") for line in lines) if name not in OWN}


def test_the_example_takes_an_image_from_its_producer_to_mayfly(
    make_broker: Callable[..., Broker], make_server: MakeServer, kafka_tools: Path, tmp_path: Path, small: bytes
) -> None:
    broker = make_broker(settings=properties()).start()
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLE, folder)
    for name in ("mayfly.toml", "produce.py"):
        text = (folder / name).read_text()
        assert PLACE in text
        (folder / name).write_text(text.replace(PLACE, broker.bootstrap))
    shown = dict(blocks("sh"))
    run_line(shown["examples/kafka/README.md:2"].replace(PLACE, broker.bootstrap), kafka_tools)

    settings = Settings.load(folder / "mayfly.toml", {}, {})
    checks = kafka_checks(settings, {})
    # One broker has no second to keep a replica.
    assert {check.name for check in checks if check.verdict != "ok"} == {
        f"topic {topic} replication" for topic in ("photos", "mayfly.deadletters", "mayfly.events")
    }
    assert all(check.verdict != "failed" for check in checks)

    (folder / "photo.jpg").write_bytes(small)
    produce = [sys.executable, *shown["examples/kafka/README.md:4"].split()[1:]]
    subprocess.run(produce, cwd=folder, timeout=60, check=True)
    server = make_server(config=(folder / "mayfly.toml").read_text(), options=("--workers", "1")).start()
    until(lambda: server.get("/v1/images").json()["items"], "the image")
    (item,) = server.get("/v1/images").json()["items"]
    image = server.until_state(item["id"], "processed")
    assert image["labels"] == {"camera": "front"}
    until(lambda: len(broker.records("mayfly.events")) == 1, "the event")
