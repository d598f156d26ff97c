"""Consumers are processes that are started anew when they end, and end with their owner."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mayfly.entrypoints.consumers import Consumers, Patience
from support.house import Told
from support.server import until

HASTY = Patience(first=0.01, longest=0.02, refused=0.05, steady=60.0)

WAITS_FOR_THE_END = """
import os, sys
open(sys.argv[1] + "/" + str(os.getpid()), "w").close()
os.read(int(sys.argv[3]), 1)
"""

DEAF = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1] + "/" + str(os.getpid()), "w").close()
os.read(int(sys.argv[3]), 1)
time.sleep(60)
"""

REFUSED = """
import os, sys
open(sys.argv[1] + "/" + str(os.getpid()), "w").close()
sys.exit(2)
"""


class Nursery:
    """Consumers of a few lines; each leaves a file of its pid's name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = Told()
        self.open: list[Consumers] = []

    def start(self, program: str, count: int = 1, patience: Patience = HASTY) -> Consumers:
        command = (sys.executable, "-c", program, str(self.folder))
        consumers = Consumers(count, command, os.environ, self.told, patience)
        self.open.append(consumers)
        consumers.start()
        return consumers

    def born(self) -> list[int]:
        return sorted(int(path.name) for path in self.folder.iterdir())


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path)
    yield nursery
    for consumers in nursery.open:
        assert consumers.stop(30.0)


def test_one_that_cannot_be_started_now_is_started_later(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    start, refusals = subprocess.Popen, [OSError(11, "Resource temporarily unavailable")] * 3

    def popen(*command: object, **how: object) -> object:
        if refusals:
            raise refusals.pop()
        return start(*command, **how)  # type: ignore[call-overload]

    monkeypatch.setattr("mayfly.entrypoints.consumers.subprocess.Popen", popen)
    nursery.start(WAITS_FOR_THE_END)
    until(lambda: len(nursery.born()) == 1, "the consumer")
    assert "Resource temporarily unavailable" in str(nursery.told.lines)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_so_many_run_as_were_wished_for(nursery: Nursery) -> None:
    consumers = nursery.start(WAITS_FOR_THE_END, 2)
    until(lambda: len(nursery.born()) == 2, "two consumers")
    assert sorted(consumers.pids()) == nursery.born()


def test_none_runs_where_none_was_wished_for(nursery: Nursery) -> None:
    consumers = nursery.start(WAITS_FOR_THE_END, 0)
    assert consumers.pids() == []
    assert consumers.stop(0.0)


def test_one_that_was_killed_is_started_anew(nursery: Nursery) -> None:
    consumers = nursery.start(WAITS_FOR_THE_END)
    until(lambda: len(nursery.born()) == 1, "a consumer")
    os.kill(nursery.born()[0], signal.SIGKILL)
    until(lambda: len(nursery.born()) == 2, "another one")
    assert len(consumers.pids()) == 1
    assert ("consumer_ended", {"reason": "killed by signal 9"}) in nursery.told.lines


def test_a_stop_ends_all_and_starts_none(nursery: Nursery) -> None:
    consumers = nursery.start(WAITS_FOR_THE_END, 2)
    until(lambda: len(nursery.born()) == 2, "two consumers")
    began = time.monotonic()
    assert consumers.stop(20.0)
    assert time.monotonic() - began < 10.0
    assert not any(lives(pid) for pid in nursery.born())
    assert len(nursery.born()) == 2


def test_one_that_does_not_heed_is_killed_in_time(nursery: Nursery) -> None:
    consumers = nursery.start(DEAF)
    until(lambda: len(nursery.born()) == 1, "a consumer")
    assert consumers.stop(1.5)
    assert not lives(nursery.born()[0])


def test_one_that_was_misconfigured_is_told_and_tried_again_seldom(nursery: Nursery) -> None:
    nursery.start(REFUSED, patience=Patience(first=0.01, longest=0.01, refused=0.5))
    until(lambda: len(nursery.born()) == 2, "a second try")
    first, second = sorted(path.stat().st_mtime for path in nursery.folder.iterdir())
    assert second - first >= 0.5
    assert "misconfigured" in str(dict(nursery.told.lines)["consumer_ended"]["reason"])


def test_ends_one_after_another_are_waited_for_longer() -> None:
    patience = Patience(first=1.0, longest=30.0)
    assert 0.5 <= patience.after(1, 1) <= 1.0
    assert 2.0 <= patience.after(3, -9) <= 4.0
    assert 15.0 <= patience.after(50, 1) <= 30.0
    assert patience.after(1, 2) == patience.refused


def test_none_outlives_a_killed_owner(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, sys, time\n"
            "from mayfly.entrypoints.consumers import Consumers\n"
            f"command = (sys.executable, '-c', {WAITS_FOR_THE_END!r}, {str(tmp_path)!r})\n"
            "Consumers(2, command, os.environ, lambda event, **fields: None).start()\n"
            "time.sleep(60)\n",
        ]
    )
    until(lambda: len(list(tmp_path.iterdir())) == 2, "two consumers")
    children = [int(path.name) for path in tmp_path.iterdir()]
    assert all(map(lives, children))
    owner.kill()
    owner.wait()
    until(lambda: not any(map(lives, children)), "their end")
