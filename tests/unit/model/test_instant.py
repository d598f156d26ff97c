"""Instants, minutes and weeks."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.model.instant import (
    MINUTE,
    WEEK,
    Minute,
    Ms,
    last_ended,
    minute_end,
    minute_label,
    minute_of,
    parse_minute_label,
    parse_rfc3339,
    rfc3339,
    week_of,
)

END_OF_9998 = 253_370_764_799_999

instants = st.integers(0, END_OF_9998).map(Ms)
minutes = st.integers(0, END_OF_9998 // MINUTE).map(Minute)


@given(instants)
def test_a_minute_begins_where_the_one_before_ends(instant: Ms) -> None:
    minute = minute_of(instant)
    assert minute_end(Minute(minute - 1)) <= instant < minute_end(minute)


@given(instants)
def test_the_last_ended_minute_has_wholly_passed_and_the_next_has_not(instant: Ms) -> None:
    assert minute_end(last_ended(instant)) <= instant
    assert minute_end(Minute(last_ended(instant) + 1)) > instant


def test_weeks_begin_on_thursdays_at_midnight() -> None:
    thursday = Ms(int(datetime(2026, 11, 19, tzinfo=UTC).timestamp()) * 1_000)
    assert week_of(thursday) == week_of(Ms(thursday - 1)) + 1
    assert week_of(thursday) == week_of(Ms(thursday + WEEK - 1))


def test_a_label_reads_as_its_minute() -> None:
    minute = Minute(int(datetime(2026, 11, 23, 2, 29, tzinfo=UTC).timestamp()) // 60)
    assert minute_label(minute) == "20261123T0229Z"


@given(minutes)
def test_a_label_is_read_back(minute: Minute) -> None:
    assert parse_minute_label(minute_label(minute)) == minute


@given(st.lists(minutes))
def test_labels_sort_as_their_minutes_do(many: list[Minute]) -> None:
    assert [minute_label(minute) for minute in sorted(many)] == sorted(minute_label(minute) for minute in many)


@pytest.mark.parametrize(
    "label",
    [
        "",
        "20261123T0229",
        "20261123T022930Z",
        "2026-11-23T02:29Z",
        "20261323T0229Z",
        "20261131T0229Z",
        "20261123T2400Z",
        "20261123T0260Z",
        "20261123T0229Z ",
        "20261123T0229Z\n",
        "20261123t0229z",
        "٢٠٢٦١١٢٣T0229Z",
        "00000000T0000Z",
        "../..",
    ],
)
def test_what_is_no_label_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_minute_label(label)


def test_an_instant_is_written_with_milliseconds_only_where_it_has_some() -> None:
    assert rfc3339(Ms(0)) == "1970-01-01T00:00:00Z"
    assert rfc3339(Ms(1_795_400_975_120)) == "2026-11-23T02:29:35.120Z"
    assert rfc3339(Ms(1_795_400_975_001)) == "2026-11-23T02:29:35.001Z"


@given(instants)
def test_an_instants_text_is_read_back(instant: Ms) -> None:
    assert parse_rfc3339(rfc3339(instant)) == instant


@given(instants, st.integers(-23 * 60, 23 * 60))
def test_the_offset_of_a_text_does_not_change_the_instant(instant: Ms, offset: int) -> None:
    zone = timezone(timedelta(minutes=offset))
    text = (datetime(1971, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant % 10**13)).astimezone(zone).isoformat()
    expected = 365 * 86_400_000 + instant % 10**13
    assert parse_rfc3339(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-23",
        "2026-11-23T02:29:35",
        "2026-11-23T02:29Z",
        "2026-11-23 02:29:35Z",
        "20261123T022935Z",
        "2026-W48-1T02:29:35Z",
        "2026-11-31T00:00:00Z",
        "2026-11-23T24:00:01Z",
        "2026-11-23T02:29:60Z",
        "2026-11-23T02:29:35+25:00",
        "2026-11-23T02:29:35Z\n",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+14:00",
        "9999-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1795400975",
    ],
)
def test_what_is_no_rfc_3339_or_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)
