"""The real broker, for whatever test asks for it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.broker import Broker
from support.broker_jars import BROKER, class_path, lacking
from support.broker_tools import write_tools
from support.topics import Topics

RUNNING = "MAYFLY_TEST_KAFKA"
"""Names a broker that runs already, HOST:PORT. Tests that kill theirs, or ask for listeners of their own, start one."""

MakeBroker = Callable[..., Broker]


@pytest.fixture(scope="session")
def can_start_brokers() -> None:
    """Without Java nothing of this can be shown; the judgement on a commit never skips."""
    if missing := lacking():
        told = f"no broker is tried: install {' and '.join(missing)} (make test does, where it may)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(told)
    class_path(BROKER)


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topics]:
    """One for the whole run, shared: each test makes topics and groups of its own (`broker.create_topic()` names them).
    Nobody stops it, and nobody changes its settings."""
    if address := os.environ.get(RUNNING):
        yield Topics(address)
        return
    request.getfixturevalue("can_start_brokers")
    own = Broker(tmp_path_factory.mktemp("broker"))
    try:
        yield own.start()
    finally:
        own.close()


@pytest.fixture
def make_broker(can_start_brokers: None, tmp_path: Path) -> Iterator[MakeBroker]:
    """Makes brokers of a test's own, not started yet: to be killed, or with `secured`, or with other `settings`."""
    made: list[Broker] = []

    def make(name: str = "broker", **how: Any) -> Broker:
        made.append(Broker(tmp_path / name, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def kafka_tools(can_start_brokers: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with kafka-topics.sh, kafka-configs.sh and others; `support.broker_tools.run_line` runs lines by it."""
    return write_tools(tmp_path_factory.mktemp("tools"))
