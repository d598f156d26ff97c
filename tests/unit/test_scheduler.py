"""The scheduler's end: bounded, and never taken for a purge that left nothing."""

import threading
import time
from types import SimpleNamespace
from typing import Any

from mayfly.entrypoints.scheduler import Scheduler
from mayfly.model.instant import Ms
from support.house import House


def scheduler(house: House, run: Any, told: list[Ms]) -> Scheduler:
    sweep: Any = SimpleNamespace(run=run)
    reconcile: Any = SimpleNamespace(run=lambda _: None)
    events: Any = SimpleNamespace(trim=lambda *_: 0)
    return Scheduler(house.clock, house.keys, sweep, reconcile, events, told.append, house.told)


def test_a_purge_that_does_not_end_is_not_waited_for() -> None:
    over, begun = threading.Event(), threading.Event()

    def endless(_: object) -> Any:
        begun.set()
        over.wait()
        return SimpleNamespace(unverified=(), cut_short=False)

    waiting = scheduler(House(), endless, [])
    waiting.start()
    assert begun.wait(10)
    began = time.monotonic()
    assert not waiting.stop(0.3)
    assert time.monotonic() - began < 5.0
    over.set()
    assert waiting.stop(10)


def test_a_purge_that_was_cut_short_makes_nothing_ready() -> None:
    told: list[Ms] = []
    house = House()
    scheduler(house, lambda _: SimpleNamespace(unverified=(), cut_short=True), told).round()
    assert told == []
    scheduler(house, lambda _: SimpleNamespace(unverified=(), cut_short=False), told).round()
    assert told == [house.clock.now()]


def test_one_that_was_never_started_can_be_stopped() -> None:
    assert scheduler(House(), lambda _: None, []).stop(0)
