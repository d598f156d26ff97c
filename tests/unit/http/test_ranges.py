"""Range headers (RFC 9110, section 14): which bytes are meant."""

import pytest
from starlette.requests import Request

from mayfly.entrypoints.http.ranges import Unsatisfiable, parse_range, wanted_range

SIZE = 1_000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-999", (0, 1_000)),
        ("bytes=999-999", (999, 1_000)),
        ("bytes=10-", (10, 1_000)),
        ("bytes=-10", (990, 1_000)),
        ("bytes=-1000", (0, 1_000)),
        ("bytes=-5000", (0, 1_000)),
        ("bytes=500-5000", (500, 1_000)),
        (" bytes=1-2 ", (1, 3)),
        ("bytes=007-008", (7, 9)),
    ],
)
def test_one_range_is_understood(header: str, expected: tuple[int, int]) -> None:
    assert parse_range(header, SIZE) == expected


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=999999999999999999-"])
def test_a_range_without_a_byte_in_it_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, SIZE)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes=",
        "bytes=-",
        "bytes=2-1",
        "bytes=0-1,5-6",
        "bytes=a-b",
        "bytes=1.5-2",
        "bytes=--1",
        "bytes=+1-2",
        "bytes 0-1",
        "lines=0-1",
        "bytes=" + "9" * 400 + "-",
    ],
)
def test_anything_else_is_ignored_and_the_whole_is_meant(header: str | None) -> None:
    assert parse_range(header, SIZE) is None


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("GET", {"range": "bytes=0-1"}, "bytes=0-1"),
        ("GET", {}, None),
        ("HEAD", {"range": "bytes=0-1"}, None),
        ("GET", {"range": "bytes=0-1", "if-range": '"v1"'}, None),
    ],
)
def test_a_range_counts_on_a_get_that_nothing_makes_conditional(
    method: str, headers: dict[str, str], expected: str | None
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert wanted_range(Request({"type": "http", "method": method, "headers": raw})) == expected
