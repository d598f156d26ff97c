"""How long an image lives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.model.errors import InvalidRequest
from mayfly.model.instant import MINUTE, Ms
from mayfly.model.retention import LONGEST_MINUTES, Retention


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("PT1M", 1),
        ("PT60S", 1),
        ("PT1H", 60),
        ("PT1H30M", 90),
        ("P1D", 1_440),
        ("P1DT30M", 1_470),
        ("P1W", 10_080),
        ("P7D", 10_080),
        ("PT168H", 10_080),
        ("PT604800S", 10_080),
        ("P0DT5M", 5),
    ],
)
def test_a_duration_is_read(text: str, minutes: int) -> None:
    assert Retention.parse(text) == Retention(minutes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1DT",
        "1H",
        "60",
        "PT1",
        "P1H",
        "PT1D",
        "P1M",
        "P1Y",
        "PT1.5H",
        "PT1,5H",
        "-PT1H",
        "PT-1H",
        "pt1h",
        " PT1H",
        "PT1H\n",
        "PT1H PT1H",
        "PT1M1H",
        "P٧D",
        "PT" + "9" * 50 + "S",
    ],
)
def test_what_is_no_such_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Retention.parse(text)


@pytest.mark.parametrize("text", ["P0D", "PT0S", "PT0M", "PT10081M", "P7DT1M", "P8D", "P2W", "PT169H"])
def test_a_duration_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Retention.parse(text)


@pytest.mark.parametrize("text", ["PT1S", "PT61S", "PT1M59S", "PT604801S"])
def test_a_duration_that_is_not_whole_minutes_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Retention.parse(text)


@pytest.mark.parametrize("minutes", [-1, 0, LONGEST_MINUTES + 1])
def test_a_retention_is_one_minute_to_seven_days(minutes: int) -> None:
    with pytest.raises(InvalidRequest):
        Retention(minutes)


@given(st.integers(1, LONGEST_MINUTES))
def test_its_text_is_read_back(minutes: int) -> None:
    assert Retention.parse(str(Retention(minutes))) == Retention(minutes)


def test_its_text_is_short() -> None:
    texts = [str(Retention(minutes)) for minutes in (1, 60, 90, 1_440, 1_441, LONGEST_MINUTES)]
    assert texts == ["PT1M", "PT1H", "PT1H30M", "P1D", "P1DT1M", "P7D"]


def test_a_life_is_counted_from_the_birth_cut_to_the_second() -> None:
    retention = Retention(1)
    assert retention.expires_at(Ms(5_999)) == 65_000
    assert retention.expires_at(Ms(5_000)) == 65_000
    assert retention.expires_at(Ms(6_000)) == 66_000


@given(st.integers(0, 2**47).map(Ms), st.integers(1, LONGEST_MINUTES).map(Retention))
def test_no_life_is_longer_than_its_retention_nor_shorter_by_a_second(birth: Ms, retention: Retention) -> None:
    lived = retention.expires_at(birth) - birth
    assert retention.minutes * MINUTE - 1_000 < lived <= retention.minutes * MINUTE
    assert retention.expiry_minute(birth) == retention.expires_at(birth) // MINUTE


def test_retentions_compare_by_length() -> None:
    assert Retention(1) < Retention(2) <= Retention(2)
