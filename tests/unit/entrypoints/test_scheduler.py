"""What the scheduler does at its times."""

import pytest

from mayfly.adapters.memory.event_log import MemoryEventLog
from mayfly.entrypoints.scheduler import Scheduler
from mayfly.model.instant import MINUTE
from mayfly.ports.event_log import KEPT_MS
from mayfly.retention.reconcile import Reconcile
from mayfly.retention.sweep import Sweep
from support.house import House


@pytest.fixture
def house() -> House:
    return House()


def scheduler_of(house: House, log: MemoryEventLog) -> Scheduler:
    sweep = Sweep(house.objects, house.metadata, house.keys, house.clock, house.told)
    reconcile = Reconcile(house.objects, house.metadata, house.keys, frozenset, house.told)
    return Scheduler(house.clock, house.keys, sweep, reconcile, log, lambda _: None, house.told)


def test_events_go_after_a_day_but_not_by_a_doubted_clock(house: House) -> None:
    log = MemoryEventLog(house.metadata)
    scheduler = scheduler_of(house, log)
    house.admit(minutes=5)
    scheduler.round()
    assert len(log.after(0)) == 1
    house.clock.hold()
    house.clock.move(KEPT_MS + MINUTE)
    scheduler.round()
    assert len(log.after(0)) == 1
    house.clock.confirm()
    scheduler.round()
    assert [event.state for event in log.after(0)] == ["purged"], "the day-old one went, its death is news"
