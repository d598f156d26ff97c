"""Instants, minutes and weeks, all counted from 1970-01-01T00:00:00 UTC.

An instant is whole milliseconds. Integers, because expiry is compared to the second and every adapter can store,
index and compare them exactly; `datetime` appears only where people read.
"""

import re
from datetime import UTC, datetime
from typing import NewType

Ms = NewType("Ms", int)
"""An instant: milliseconds since the epoch, UTC."""

Minute = NewType("Minute", int)
"""A minute: its number since the epoch, UTC."""

Week = NewType("Week", int)
"""A week of seven days since the epoch (they begin on Thursdays, 00:00 UTC)."""

SECOND = 1_000
MINUTE = 60 * SECOND
WEEK = 7 * 24 * 60 * MINUTE

CALENDAR_END = Ms(253_370_764_800_000)
"""9999-01-01: from here on an instant can no longer be written in every offset."""

_LABEL = re.compile(r"[0-9]{8}T[0-9]{4}Z")
_LABEL_FORMAT = "%Y%m%dT%H%MZ"
_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?")


def minute_of(instant: Ms) -> Minute:
    return Minute(instant // MINUTE)


def minute_end(minute: Minute) -> Ms:
    """The first instant after the minute."""
    return Ms((minute + 1) * MINUTE)


def week_of(instant: Ms) -> Week:
    return Week(instant // WEEK)


def last_ended(now: Ms) -> Minute:
    """The youngest minute that has wholly passed at `now`."""
    return Minute(now // MINUTE - 1)


def minute_label(minute: Minute) -> str:
    """The minute as it stands in addresses: `20261123T0229Z`. Labels sort as their minutes do."""
    return datetime.fromtimestamp(minute * 60, UTC).strftime(_LABEL_FORMAT)


def parse_minute_label(label: str) -> Minute:
    """The inverse of `minute_label`.

    Raises:
        ValueError: the text is not such a label.
    """
    if not _LABEL.fullmatch(label):
        raise ValueError(f"not a minute label: {label!r}")
    moment = datetime.strptime(label, _LABEL_FORMAT).replace(tzinfo=UTC)
    return Minute(int(moment.timestamp()) // 60)


def rfc3339(instant: Ms) -> str:
    """`2026-11-23T02:29:35.120Z`; whole seconds carry no fraction."""
    seconds, millis = divmod(instant, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{millis:03d}Z" if millis else f"{text}Z"


def parse_rfc3339(text: str) -> Ms:
    """An instant from RFC 3339 text with an offset.

    Raises:
        ValueError: not RFC 3339, or without an offset (a local time names no instant), or outside years 1970 to 9998.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError("a time reads like 2026-11-23T00:00:00Z")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its offset, for example 2026-11-23T00:00:00Z")
    instant = round(moment.timestamp() * SECOND)
    if not 0 <= instant < CALENDAR_END:
        raise ValueError("a time lies between the years 1970 and 9998")
    return Ms(instant)
