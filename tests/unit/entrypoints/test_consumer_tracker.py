"""Offsets end in any order and are settled in theirs."""

from mayfly.entrypoints.consumer_tracker import Tracker
from mayfly.model.instant import Ms
from mayfly.model.stream import Coordinates, Partition, StreamRecord

HERE = Partition("photos", 0)
THERE = Partition("photos", 1)


def record(offset: int, partition: Partition = HERE, tenure: int = 1) -> StreamRecord:
    return StreamRecord(Coordinates(partition, offset), tenure, Ms(1_000 + offset), (), b"x")


def following(*offsets: int) -> Tracker:
    tracker = Tracker()
    tracker.keep({HERE: 1})
    for offset in offsets:
        tracker.begin(record(offset))
    return tracker


def test_nothing_is_settled_before_the_oldest_is_done() -> None:
    tracker = following(5, 6, 7)
    tracker.end(record(7))
    tracker.end(record(6))
    assert tracker.moved() == []
    assert tracker.spread(HERE) == 3
    tracker.end(record(5))
    assert tracker.moved() == [(HERE, 1, 8)]
    assert tracker.spread(HERE) == 0


def test_what_was_told_is_not_told_again_until_it_moves() -> None:
    tracker = following(5, 6)
    tracker.end(record(5))
    assert tracker.moved() == [(HERE, 1, 6)]
    assert tracker.moved() == []
    assert tracker.settled() == {HERE: 6}
    tracker.end(record(6))
    assert tracker.moved() == [(HERE, 1, 7)]


def test_gaps_between_offsets_hold_nothing_up() -> None:
    tracker = following(5, 90, 91)
    tracker.end(record(5))
    assert tracker.moved() == [(HERE, 1, 6)]
    tracker.end(record(91))
    tracker.end(record(90))
    assert tracker.moved() == [(HERE, 1, 92)]


def test_partitions_are_settled_each_on_its_own() -> None:
    tracker = following(5)
    tracker.keep({HERE: 1, THERE: 4})
    tracker.begin(record(70, THERE, 4))
    tracker.end(record(70, THERE, 4))
    assert tracker.moved() == [(THERE, 4, 71)]


def test_late_results_of_an_older_tenure_settle_nothing() -> None:
    tracker = following(5, 6)
    assert tracker.keep({}) == {HERE}
    tracker.end(record(5))
    assert tracker.moved() == []
    assert tracker.keep({HERE: 2}) == frozenset()
    tracker.begin(record(5, tenure=2))
    tracker.end(record(5, tenure=1))
    assert not tracker.current(record(5, tenure=1))
    assert tracker.moved() == []
    tracker.end(record(5, tenure=2))
    assert tracker.moved() == [(HERE, 2, 6)]


def test_a_partition_that_went_and_came_between_two_looks_begins_anew() -> None:
    tracker = following(5)
    assert tracker.keep({HERE: 3}) == {HERE}
    assert tracker.spread(HERE) == 0


def test_the_oldest_is_the_one_that_is_not_done() -> None:
    tracker = following(5, 6)
    tracker.end(record(5))
    assert tracker.oldest(HERE) == 1_006
    tracker.end(record(6))
    assert tracker.oldest(HERE) is None
    assert tracker.oldest(THERE) is None
