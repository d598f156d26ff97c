"""What systemd is told, and when."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mayfly.entrypoints.service_manager import ServiceManager
from mayfly.model.errors import Misconfigured

Listen = Callable[[], list[str]]
PID = 7


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Listen]]:
    """A socket such as systemd's: its name as NOTIFY_SOCKET has it, and what came since."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@mayfly-test-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(name.replace("@", "\0", 1) if request.param == "abstract" else name)
        heard.setblocking(False)

        def since() -> list[str]:
            lines: list[str] = []
            try:
                while True:
                    lines += heard.recv(1_000).decode().splitlines()
            except BlockingIOError:
                return lines

        yield name, since


def test_it_is_ready_once_it_is_and_is_given_time_until_then(listener: tuple[str, Listen]) -> None:
    name, since = listener
    ready = False
    manager = ServiceManager({"NOTIFY_SOCKET": name}, lambda: ready, PID)
    manager.beat()
    assert since()[0] == "EXTEND_TIMEOUT_USEC=30000000"
    ready = True
    manager.beat()
    assert since()[0] == "READY=1"
    manager.beat()
    assert since() == [], "it is told once"
    manager.stopping()
    assert since()[0] == "STOPPING=1"


@pytest.mark.parametrize(
    ("watched", "beats"),
    [({}, False), ({"WATCHDOG_USEC": "1"}, True), ({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "8"}, False)],
)
def test_the_watchdog_hears_every_beat_where_there_is_one(
    listener: tuple[str, Listen], watched: dict[str, str], beats: bool
) -> None:
    name, since = listener
    manager = ServiceManager({"NOTIFY_SOCKET": name, **watched}, lambda: True, PID)
    for _ in range(2):
        manager.beat()
        assert ("WATCHDOG=1" in since()) == beats


def test_what_cannot_tell_whether_it_is_ready_is_not(listener: tuple[str, Listen]) -> None:
    name, since = listener

    def unknown() -> bool:
        raise Misconfigured("the clock file cannot be read")

    ServiceManager({"NOTIFY_SOCKET": name}, unknown, PID).beat()
    assert "READY=1" not in since()


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_where_nobody_listens_nothing_happens(environment: dict[str, str]) -> None:
    manager = ServiceManager({**environment, "WATCHDOG_USEC": "1"}, lambda: True)
    manager.beat()
    manager.stopping()
