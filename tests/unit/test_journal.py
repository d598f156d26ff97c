"""The log: what may be told is told, one line an event; what may not is dropped."""

import json
import logging
import warnings
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from mayfly import journal as journal_module
from mayfly.journal import configure, journal


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("mayfly")
    before = (root.handlers, root.level, ours.level)
    yield
    root.handlers, root.level, ours.level = before
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == "", "the first line on stdout is the address; nothing else goes there"
    return err.splitlines()


def test_a_field_that_is_not_on_the_list_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    journal("received", image="an-id", file_name="holiday.jpg", sha256="ab" * 32, uploader="somebody", bytes=3, kib=1)
    (line,) = lines(capsys)
    told = json.loads(line)
    assert told.keys() == {"event", "level", "timestamp", "image", "kib"}
    assert (told["event"], told["level"], told["image"], told["kib"]) == ("received", "info", "an-id", 1)
    assert told["timestamp"].endswith("Z")


def test_no_personal_field_is_on_the_list() -> None:
    personal = {"file_name", "uploader", "sha256", "labels", "exif", "path", "address", "key", "bytes"}
    assert not journal_module._FIELDS & personal


def test_a_field_without_a_value_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    journal("processed", image="an-id", reason=None)
    (line,) = lines(capsys)
    assert "reason" not in json.loads(line)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_an_event_is_one_line(capsys: pytest.CaptureFixture[str], log_format: Literal["json", "text"]) -> None:
    configure(log_format)
    journal("started")
    journal("failed", image="an-id", reason="first\nsecond\r\nthird")
    journal("stopped")
    told = lines(capsys)
    assert len(told) == 3
    for line, event in zip(told, ("started", "failed", "stopped"), strict=True):
        assert event in line


def test_text_reads_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text")
    journal("purged", records=7)
    (line,) = lines(capsys)
    assert "purged" in line
    assert "records=7" in line
    assert "\x1b" not in line, "colours are for terminals"
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


def test_where_nobody_reads_it_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("auto")
    journal("started")
    (line,) = lines(capsys)
    assert json.loads(line)["event"] == "started"


def test_libraries_are_told_in_the_same_form_from_warnings_up(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    library = logging.getLogger("some.library")
    library.info("chatter")
    library.warning("beware of %s", "this")
    try:
        int("no number")
    except ValueError:
        library.exception("it broke")
    beware, broke = (json.loads(line) for line in lines(capsys))
    assert (beware["event"], beware["level"]) == ("beware of this", "warning")
    assert "ValueError: invalid literal" in broke["exception"]


def test_configuring_twice_tells_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        configure("json")
        configure("json")
    journal("started")
    assert len(lines(capsys)) == 1
