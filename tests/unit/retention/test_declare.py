"""What the settings say about retention is remembered, from when on."""

import pytest

from mayfly.adapters.memory.retention_history import MemoryRetentionHistory
from mayfly.model.errors import ClockHeld, StorageFull
from mayfly.model.image import Source
from mayfly.model.instant import MINUTE, Ms
from mayfly.model.retention import History, Retention
from mayfly.ports.retention_history import RetentionHistory
from mayfly.retention.declare import Retentions
from support.house import START, Failing, House

DAY, HOUR = Retention(1_440), Retention(60)


@pytest.fixture
def house() -> House:
    return House()


def started(house: House, history: RetentionHistory, http: Retention, kafka: Retention) -> Retentions:
    retentions = Retentions(history, {Source.HTTP: http, Source.KAFKA: kafka}, house.clock, house.told)
    retentions.declare()
    return retentions


def test_each_start_with_another_setting_adds_to_the_history_of_its_source(house: House) -> None:
    history = MemoryRetentionHistory()
    started(house, history, DAY, HOUR)
    house.clock.move(MINUTE)
    started(house, history, DAY, DAY)
    assert history.of(Source.HTTP) == History(((START, DAY),))
    assert history.of(Source.KAFKA) == History(((START, HOUR), (Ms(START + MINUTE), DAY)))


def test_a_time_that_nobody_believes_dates_no_change(house: House) -> None:
    history = MemoryRetentionHistory()
    house.clock.hold()
    retentions = started(house, history, DAY, HOUR)
    assert history.of(Source.KAFKA) == History()
    assert house.told.events == ["retention_undeclared", "retention_undeclared"]
    with pytest.raises(ClockHeld):
        retentions.of(Source.KAFKA)
    house.clock.confirm()
    assert retentions.of(Source.KAFKA) == history.of(Source.KAFKA) == History(((START, HOUR),))


def test_a_full_disk_keeps_no_owner_from_starting(house: House) -> None:
    history = MemoryRetentionHistory()
    full = Failing(history, at=1, fault=StorageFull("no room"), names=frozenset({"declare"}))
    started(house, full, DAY, HOUR)
    assert history.of(Source.HTTP) == History()
    assert history.of(Source.KAFKA) == History(((START, HOUR),))
