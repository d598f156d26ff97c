"""What a record says of itself, and what it cannot make us believe, or hold, or raise."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.intake.envelope import LONGEST_CLAIM, LONGEST_HEADER, MOST_HEADERS, Envelope, envelope_of
from mayfly.model.claim import Claim
from mayfly.model.errors import ClaimRefused
from mayfly.model.retention import Retention
from mayfly.model.stream import UNREADABLE_HEADERS

SHA = "ab" * 32
DATA = {"uri": "file:///in/a.jpg", "sha256": SHA, "bytes": 3}
CLAIM = Claim("file:///in/a.jpg", SHA, 3)


def said(*headers: tuple[str, bytes], value: bytes | None = b"bytes") -> Envelope:
    return envelope_of(headers, value)


def checked(document: Any, content_type: bytes = b"application/json", *headers: tuple[str, bytes]) -> Envelope:
    value = document if isinstance(document, bytes) else json.dumps(document).encode()
    return said(("content-type", content_type), *headers, value=value)


def test_plain_bytes_say_nothing() -> None:
    assert said() == Envelope()
    assert said(value=None) == Envelope()


def test_a_cloudevent_in_binary_mode_says_all_of_it_in_headers_of_any_case() -> None:
    assert said(
        ("Content-Type", b"image/jpeg"),
        ("CE_ID", b"1"),
        ("ce_Source", b"/cams/7"),
        ("ce_retain", b"PT1H"),
        ("ce_labelSITE", "nördlich".encode()),
        ("Content-Disposition", b'attachment; filename="a.jpg"'),
    ) == Envelope("image/jpeg", "/cams/7", "/cams/7\x001", "a.jpg", Retention(60), {"site": "nördlich"})


def test_two_events_never_read_the_same() -> None:
    one, other = (("ce_source", b"a"), ("ce_id", b"b/c")), (("ce_source", b"a/b"), ("ce_id", b"c"))
    assert said(*one).event != said(*other).event


@pytest.mark.parametrize("alone", [("ce_id", b"1"), ("ce_source", b"a")])
def test_half_an_event_is_none(alone: tuple[str, bytes]) -> None:
    envelope = said(alone)
    assert (envelope.event, envelope.fault) == (None, None)


@pytest.mark.parametrize(
    "headers",
    [
        [("ce_id", b"1"), ("ce_source", b"")],
        [("ce_id", b""), ("ce_source", b"a")],
        [("ce_id", b"1\x00"), ("ce_source", b"a")],
        [("ce_source", b"a\nb")],
        [("ce_source", b"\xff\xfe")],
        [("ce_source", b"a" * LONGEST_HEADER)],
        [("ce_id", b"1"), ("CE_ID", b"1")],
        [("ce_id", b"1"), ("ce_id", b"2"), ("ce_id", b"3")],
        [("content-type", b"image/jpeg"), ("Content-Type", b"image/png")],
        [("ce_labelsite", b"\x80")],
        [("ce_label" + "x" * LONGEST_HEADER, b"")],
        [("ce_retain", b"a week")],
        [("ce_retain", b"PT0M")],
        [("ce_retain", b"P8D")],
        [("ce_retain", b"")],
        [("ce_retain", b"PT1H"), ("ce_retain", b"PT2H")],
        [(f"x-{number}", b"") for number in range(MOST_HEADERS + 1)],
    ],
    ids=lambda headers: str(headers)[:40],
)
def test_a_header_at_fault_is_told_and_the_rest_still_counts(headers: list[tuple[str, bytes]]) -> None:
    envelope = said(("ce_labelsite", b"north"), *headers) if "site" not in str(headers) else said(*headers)
    assert envelope.fault is not None
    assert len(str(envelope.fault)) < 200


@pytest.mark.parametrize("twice", ["ce_id", "ce_source", "ce_retain", "ce_labelsite", "content-type"])
def test_of_a_header_that_comes_twice_neither_counts(twice: str) -> None:
    once = {"ce_id": b"1", "ce_source": b"a", "ce_retain": b"PT1H", "ce_labelsite": b"x", "content-type": b"image/gif"}
    assert said((twice, once[twice])).fault is None
    for times in (2, 3, 4):
        envelope = said(*[(twice, once[twice])] * times)
        assert envelope.fault is not None
        assert (envelope.event, envelope.source, envelope.retain) == (None, None, None)
        assert (envelope.labels, envelope.declared_type) == ({}, None)


def test_headers_that_could_not_be_read_at_all_are_at_fault() -> None:
    assert envelope_of(UNREADABLE_HEADERS, b"x").fault is not None


def test_headers_that_are_not_read_may_hold_anything() -> None:
    foreign = [("traceparent", b"\x00\xff"), ("ce_time", b"\xff"), ("ce_type", b"a" * 100_000), ("", b""), ("x", b"")]
    assert said(*foreign, *foreign) == Envelope()


@pytest.mark.parametrize("name", [b"\xe9t\xe9.jpg", "été.jpg".encode()])
def test_a_file_name_is_read_in_whatever_way_it_is_written(name: bytes) -> None:
    envelope = said(("content-disposition", b'attachment; filename="' + name + b'"'))
    assert (envelope.file_name, envelope.fault) == ("été.jpg", None)


class TestClaimChecks:
    @pytest.mark.parametrize("content_type", [b"application/json", b"Application/JSON; charset=utf-8"])
    def test_in_binary_mode_the_value_is_the_claim(self, content_type: bytes) -> None:
        envelope = checked(DATA, content_type, ("ce_source", b"a"), ("ce_id", b"1"))
        assert (envelope.claim, envelope.event, envelope.declared_type) == (CLAIM, "a\x001", None)

    def test_in_structured_mode_the_event_holds_it(self) -> None:
        document = {
            "specversion": "1.0",
            "id": "1",
            "source": "/cams/7",
            "type": "photo",
            "retain": "PT1H",
            "labelsite": "north",
            "sequence": 3,
            "data": DATA,
        }
        assert checked(document, b"application/cloudevents+json; charset=UTF-8") == Envelope(
            None, "/cams/7", "/cams/7\x001", None, Retention(60), {"site": "north"}, CLAIM
        )

    @pytest.mark.parametrize("attribute", [{"id": 7}, {"source": None}, {"retain": 60}, {"labelsite": ["x"]}])
    def test_an_attribute_at_fault_is_told(self, attribute: dict[str, Any]) -> None:
        envelope = checked({"data": DATA, **attribute}, b"application/cloudevents+json")
        assert envelope.claim == CLAIM
        assert envelope.fault is not None

    def test_upper_case_hex_is_the_same_hash(self) -> None:
        assert checked({**DATA, "sha256": SHA.upper()}).claim == CLAIM

    @pytest.mark.parametrize(
        "document",
        [
            b"{",
            b"\xff",
            b"null",
            b"[]",
            b"7",
            b"[" * 60_000,
            b'{"a":' * 10_000,
            b"9" * 60_000,
            json.dumps(DATA).encode() + b" " * LONGEST_CLAIM,
            {},
            {**DATA, "uri": None},
            {**DATA, "uri": ["file:///in/a"]},
            {**DATA, "sha256": "ab"},
            {**DATA, "sha256": "zz" * 32},
            {**DATA, "sha256": SHA + "\n"},
            {**DATA, "sha256": 7},
            {**DATA, "bytes": "3"},
            {**DATA, "bytes": 3.0},
            {**DATA, "bytes": True},
            {**DATA, "bytes": -1},
            {**DATA, "bytes": None},
            {"data": DATA},
        ],
        ids=lambda document: str(document)[:40],
    )
    def test_what_is_none_is_told(self, document: Any) -> None:
        assert isinstance(checked(document).claim, ClaimRefused)

    @pytest.mark.parametrize("document", [{}, {"data": None}, {"data": "x"}, {"data_base64": "AAAA"}, DATA])
    def test_a_structured_event_without_one_is_told(self, document: Any) -> None:
        assert isinstance(checked(document, b"application/cloudevents+json").claim, ClaimRefused)

    def test_an_empty_value_claims_nothing(self) -> None:
        assert checked(b"").claim is None
        assert said(("content-type", b"application/json"), value=None).claim is None


CHECK, STRUCTURED = b"application/json", b"application/cloudevents+json"
NAMES = st.sampled_from(
    ["content-type", "Content-Disposition", "ce_id", "ce_source", "CE_SOURCE", "ce_retain", "ce_label", "ce_labelx"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["data", "uri", "bytes", "sha256", "id"]), inner),
)


@given(
    st.lists(st.tuples(NAMES | st.text(), st.binary() | st.sampled_from([b"application/json", b"PT1H"]))),
    st.none() | st.binary() | JSON.map(lambda found: json.dumps(found).encode()),
    st.sampled_from(
        [(), (("content-type", b"application/json"),), (("content-type", b"application/cloudevents+json"),)]
    ),
)
def test_nothing_that_a_record_holds_raises(
    headers: list[tuple[str, bytes]], value: bytes | None, typed: tuple[tuple[str, bytes], ...]
) -> None:
    envelope = envelope_of([*typed, *headers], value)
    assert envelope.event is None or envelope.event.count("\x00") == 1
