"""The contract of `ports.image_stream.ImageStream`, for every adapter."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from mayfly.model.errors import Conflict, Misconfigured
from mayfly.model.instant import Minute, Ms
from mayfly.model.stream import Coordinates, Letter, Partition, StreamRecord, Survey
from mayfly.ports.image_stream import ImageStream

if TYPE_CHECKING:
    from contracts.conftest import Streamed

NOW = Ms(time.time_ns() // 1_000_000)
"""Real brokers delete what is older than their retention."""
PATIENCE_SECONDS = 20.0


def take(count: int, *streams: ImageStream) -> list[StreamRecord]:
    """So many records, polling each stream in turn."""
    found: list[StreamRecord] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} records came"
        found += [record for stream in streams if (record := stream.poll(0.05)) is not None]
    return found


def nothing_comes(*streams: ImageStream) -> bool:
    return all(stream.poll(0.1) is None for _ in range(4) for stream in streams)


def until(check: Callable[[], bool], *streams: ImageStream) -> None:
    """Polls meanwhile: what comes is passed over."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not check():
        assert time.monotonic() < deadline
        for stream in streams:
            stream.poll(0.05)


def settle_all(stream: ImageStream, records: list[StreamRecord]) -> None:
    for record in records:
        stream.settle(record.at.partition, record.tenure, record.at.offset + 1)


def values(records: list[StreamRecord]) -> list[bytes | None]:
    return [record.value for record in records]


class TestReading:
    def test_a_record_comes_as_it_was_written(self, streamed: "Streamed") -> None:
        headers = [("ce_id", b"1"), ("content-type", b"image/jpeg"), ("ce_id", b"\xff\x00"), ("none", None)]
        at = streamed.produce(1, b"\x00bytes", headers, NOW)
        stream = streamed.join()
        (record,) = take(1, stream)
        assert record.at == at == Coordinates(Partition(streamed.topic, 1), 0)
        assert record.timestamp == NOW
        assert list(record.headers) == [(name, value or b"") for name, value in headers]
        assert record.value == b"\x00bytes"
        assert record.tenure == stream.held()[at.partition]

    def test_tombstones_and_empty_values_come_too(self, streamed: "Streamed") -> None:
        streamed.produce(0, None, timestamp=NOW)
        streamed.produce(0, b"", timestamp=NOW)
        assert values(take(2, streamed.join())) == [None, b""]

    def test_a_partition_keeps_its_order_and_what_comes_later_comes(self, streamed: "Streamed") -> None:
        stream = streamed.join()
        for number in range(5):
            streamed.produce(0, b"%d" % number, timestamp=NOW)
        assert values(take(5, stream)) == [b"0", b"1", b"2", b"3", b"4"]
        assert nothing_comes(stream)
        streamed.produce(0, b"5", timestamp=NOW)
        assert values(take(1, stream)) == [b"5"]

    def test_both_partitions_are_held_each_under_a_tenure_of_its_own(self, streamed: "Streamed") -> None:
        stream = streamed.join()
        assert stream.held() == {}
        until(lambda: len(stream.held()) == 2, stream)
        assert len(set(stream.held().values())) == 2

    def test_a_topic_that_is_not_there_is_named(self, streamed: "Streamed") -> None:
        stream = streamed.join(topics=(streamed.topic, "nowhere"))
        with pytest.raises(Misconfigured, match="no topic nowhere"):
            until(lambda: False, stream)


class TestPausing:
    def test_a_paused_partition_gives_nothing_and_the_other_one_goes_on(self, streamed: "Streamed") -> None:
        for number in range(20):
            streamed.produce(0, b"%d" % number, timestamp=NOW)
        stream = streamed.join()
        assert values(take(3, stream)) == [b"0", b"1", b"2"]
        paused = Partition(streamed.topic, 0)
        stream.pause([paused])
        assert nothing_comes(stream)
        streamed.produce(1, b"other", timestamp=NOW)
        assert values(take(1, stream)) == [b"other"]
        assert nothing_comes(stream)
        stream.resume([paused])
        assert values(take(17, stream)) == [b"%d" % number for number in range(3, 20)]

    def test_what_is_not_held_or_not_paused_is_passed_over(self, streamed: "Streamed") -> None:
        streamed.produce(0, b"1", timestamp=NOW)
        stream = streamed.join()
        both = [Partition(streamed.topic, 0), Partition("elsewhere", 9)]
        stream.pause(both)
        assert len(take(1, stream)) == 1
        stream.resume(both)
        stream.pause(both)
        stream.pause(both)
        streamed.produce(0, b"2", timestamp=NOW)
        assert nothing_comes(stream)
        stream.resume(both)
        assert len(take(1, stream)) == 1


class TestSettling:
    def test_the_committed_offset_follows_what_is_settled_and_nothing_else(self, streamed: "Streamed") -> None:
        for number in range(4):
            streamed.produce(0, b"%d" % number, timestamp=NOW)
        stream = streamed.join()
        records = take(4, stream)
        assert nothing_comes(stream)
        assert streamed.committed(0) is None
        settle_all(stream, records[:2])
        until(lambda: streamed.committed(0) == 2, stream)
        # A lower one is late news.
        settle_all(stream, records[:1])
        settle_all(stream, records[2:3])
        until(lambda: streamed.committed(0) == 3, stream)
        assert streamed.committed(1) is None

    def test_closing_commits_what_was_settled_and_the_next_one_goes_on_there(self, streamed: "Streamed") -> None:
        for number in range(4):
            streamed.produce(0, b"%d" % number, timestamp=NOW)
        first = streamed.join()
        settle_all(first, take(4, first)[:2])
        first.close()
        assert streamed.committed(0) == 2
        assert first.held() == {}
        first.close()
        assert first.poll(0) is None
        assert values(take(2, streamed.join())) == [b"2", b"3"]

    def test_another_group_reads_everything_from_the_beginning(self, streamed: "Streamed") -> None:
        streamed.produce(0, b"0", timestamp=NOW)
        first = streamed.join()
        settle_all(first, take(1, first))
        first.close()
        assert values(take(1, streamed.join(group=f"another-{streamed.group}"))) == [b"0"]


class TestSharing:
    def test_partitions_go_to_a_second_member_and_come_back_under_new_tenures(self, streamed: "Streamed") -> None:
        for number in range(2):
            streamed.produce(number, b"%d" % number, timestamp=NOW)
        first = streamed.join()
        records = take(2, first)
        before = first.held()
        first.pause(list(before))
        second = streamed.join()
        until(lambda: len(first.held()) == len(second.held()) == 1, first, second)
        assert set(first.held()) | set(second.held()) == set(before)
        (gone,) = second.held()
        # What was not settled comes again, to whom the partition belongs now.
        old = next(record for record in records if record.at.partition == gone)
        first.settle(gone, old.tenure, old.at.offset + 1)
        second.close()
        until(lambda: len(first.held()) == 2, first)
        assert first.held()[gone] > max(before.values())
        # A partition that comes is not paused; one that stayed is what it was.
        first.settle(gone, old.tenure, old.at.offset + 1)
        streamed.produce(gone.number, b"later", timestamp=NOW)

        again = [record for record in drain(first) if record.at.partition == gone]
        assert values(again)[-1:] == [b"later"]
        assert streamed.committed(gone.number) is None

    def test_each_record_goes_to_one_member(self, streamed: "Streamed") -> None:
        first, second = streamed.join(), streamed.join()
        until(lambda: len(first.held()) == len(second.held()) == 1, first, second)
        for number in range(6):
            streamed.produce(number % 2, b"%d" % number, timestamp=NOW)
        found = take(6, first, second)
        assert sorted(value or b"" for value in values(found)) == [b"%d" % number for number in range(6)]
        assert nothing_comes(first, second)


class TestBurying:
    def test_a_letter_stands_in_the_topic_when_it_returns_and_as_often_as_it_was_written(
        self, streamed: "Streamed"
    ) -> None:
        stream = streamed.join()
        for offset in (7, 8, 7):
            at = Coordinates(Partition(streamed.topic, 1), offset)
            stream.bury(Letter.of_record(at, None, "too-large", NOW, Minute(NOW // 60_000)))
        assert streamed.buried() == [f"{streamed.topic}/1/{offset}" for offset in (7, 8, 7)]


class TestSurveying:
    def test_a_survey_tells_bounds_what_is_committed_and_the_oldest_record_s_time(self, streamed: "Streamed") -> None:
        both = [Partition(streamed.topic, number) for number in (0, 1)]
        for number in range(3):
            streamed.produce(0, b"x", timestamp=Ms(NOW + number))
        stream = streamed.join()
        settle_all(stream, take(3, stream)[:2])
        until(lambda: streamed.committed(0) == 2, stream)
        assert stream.survey(both) == [Survey(both[0], 0, 3, 2, NOW), Survey(both[1], 0, 0, None, None)]
        assert stream.survey([]) == []
        assert stream.survey([Partition("nowhere", 0)]) == []


class TestTrimming:
    def test_what_is_committed_goes_up_to_the_bound_and_never_more(self, streamed: "Streamed") -> None:
        first, second = (Partition(streamed.topic, number) for number in (0, 1))
        for number in range(4):
            streamed.produce(0, b"%d" % number, timestamp=Ms(NOW + number))
            streamed.produce(1, b"%d" % number, timestamp=Ms(NOW + number))
        stream = streamed.join()
        settle_all(stream, [record for record in take(8, stream) if record.at.offset < 3])
        until(lambda: streamed.committed(0) == streamed.committed(1) == 3, stream)
        stream.trim({first: 2, second: 99})
        until(lambda: [one.earliest for one in stream.survey([first, second])] == [2, 3], stream)
        assert [one.oldest_at for one in stream.survey([first, second])] == [NOW + 2, NOW + 3]
        stream.trim({first: 1})
        stream.trim({first: 2})
        assert values(take(3, streamed.join(group=f"another-{streamed.group}"))).count(b"3") == 2

    def test_nothing_goes_that_was_not_committed(self, streamed: "Streamed") -> None:
        streamed.produce(0, b"0", timestamp=NOW)
        stream = streamed.join()
        take(1, stream)
        stream.trim({Partition(streamed.topic, 0): 1})
        assert stream.survey([Partition(streamed.topic, 0)])[0].earliest == 0

    def test_a_topic_that_others_read_is_left_alone(self, streamed: "Streamed") -> None:
        streamed.produce(0, b"0", timestamp=NOW)
        stream = streamed.join()
        settle_all(stream, take(1, stream))
        until(lambda: streamed.committed(0) == 1, stream)
        streamed.read_elsewhere()
        with pytest.raises(Conflict, match="other groups read"):
            stream.trim({Partition(streamed.topic, 0): 1})
        assert stream.survey([Partition(streamed.topic, 0)])[0].earliest == 0


def drain(stream: ImageStream) -> list[StreamRecord]:
    """What comes until nothing does for a while."""
    found: list[StreamRecord] = []
    quiet = 0
    while quiet < 10:
        record = stream.poll(0.1)
        quiet = 0 if record is not None else quiet + 1
        found += [] if record is None else [record]
    return found
