"""The end of a server takes so long and no longer."""

import threading
import time

import pytest

from mayfly.entrypoints import ending as ending_module
from mayfly.entrypoints.ending import Ending, ended_within
from support.house import Told


class Part:
    """Ends at once, or never."""

    def __init__(self, ends: bool = True) -> None:
        self.told = 0
        self._ends = ends

    def begin_stop(self) -> None:
        self.told += 1

    def stop(self, timeout_seconds: float) -> bool:
        if not self._ends:
            time.sleep(timeout_seconds)
        return self._ends


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending_module, "WAITS_SECONDS", 0.3)


def test_all_are_told_at_once_and_once() -> None:
    parts = [Part(), Part()]
    ending = Ending(parts, Told(), lambda _: None)
    ending.begin()
    ending.begin()
    assert [part.told for part in parts] == [1, 1]
    assert ending.wait()


def test_those_that_do_not_end_are_waited_for_together() -> None:
    began = time.monotonic()
    assert not Ending([Part(ends=False), Part(ends=False)], Told(), lambda _: None).wait()
    assert 0.2 < time.monotonic() - began < 2.0


def test_a_thread_that_the_interpreter_would_wait_for_is_waited_for_no_longer() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        assert not Ending([], Told(), lambda _: None).wait()
    finally:
        over.set()
        thread.join()
    assert Ending([], Told(), lambda _: None).wait()


def test_what_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending_module, "LAST_RESORT_SECONDS", 0.05)
    left = threading.Event()
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    told = Told()
    Ending([Part()], told, leave).begin()
    assert left.wait(10)
    assert (codes, told.events) == ([0], ["cut_short"])


def test_threads_that_never_began_have_ended() -> None:
    assert ended_within([threading.Thread(target=time.sleep)], 1.0)
