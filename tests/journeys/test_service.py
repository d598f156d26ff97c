"""The command line of the systemd unit, started as systemd would: ready when it is, and gone when it is told."""

import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.server import Server, until

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "mayfly.service"
PLACES = {"/etc/mayfly/mayfly.toml": "mayfly.toml", "/var/lib/mayfly/data": "data", "/var/lib/mayfly-keys/keys": "keys"}


class Manager:
    """The socket that systemd would listen on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def heard_of(self, line: str) -> bool:
        try:
            while True:
                self.heard += self._socket.recv(4_096).decode().splitlines()
        except BlockingIOError:
            return line in self.heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    listening = Manager(tmp_path / "notify")
    yield listening
    listening.close()


class Service(Server):
    """The unit's own command line, with other places for its files."""

    def command(self) -> list[str]:
        (self.folder / "mayfly.toml").touch()
        (start,) = [line for line in UNIT.read_text().splitlines() if line.startswith("ExecStart=")]
        program, *words = shlex.split(start.partition("=")[2])
        assert program == "/opt/mayfly/bin/mayfly"
        ours = [str(self.folder / PLACES[word]) if word in PLACES else word for word in words]
        return [sys.executable, "-m", "mayfly", *ours, "--port", "0", "--workers", "1"]


def test_it_is_ready_when_it_says_so_and_ends_when_it_is_told(tmp_path: Path, manager: Manager, small: bytes) -> None:
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "60000000"}
    service = Service(tmp_path, environment=environment)
    try:
        service.start(ready=False)
        until(lambda: manager.heard_of("READY=1"), "READY=1")
        assert service.get("/readyz").status_code == 200
        until(lambda: manager.heard_of("WATCHDOG=1"), "WATCHDOG=1")
        service.until_state(service.upload(small)["id"], "processed")
        assert not manager.heard_of("STOPPING=1")
        assert service.stop() == 0
        assert manager.heard_of("STOPPING=1")
        assert manager.heard.index("READY=1") < manager.heard.index("STOPPING=1")
    finally:
        service.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_its_first_moments_ends_it_with_success(tmp_path: Path, number: int) -> None:
    """As soon as Python runs our first line; from there on a handler stands."""
    command = [sys.executable, "-X", "importtime", "-m", "mayfly", "up", "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert process.stderr is not None
        # The first module that only a command line needs: imports have begun, and most are still to come.
        next(line for line in process.stderr if line.rstrip().endswith("typer.models"))
        process.send_signal(number)
        process.stderr.read()
        assert process.wait(20) == 0
        assert not any(tmp_path.iterdir()), "nothing had begun"
    finally:
        process.kill()
        process.communicate()
