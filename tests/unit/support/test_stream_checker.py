"""The campaign's checker finds what it is there to find: each fault is planted, and named."""

import json
from dataclasses import replace

import pytest

from support.stream_checker import Image, Report, Sent, check_images, check_letters
from support.topics import Message

SENT = [
    Sent("t/0/0", "a", 1, "small", "image"),
    Sent("t/0/1", "b", 1, "text", "letter", "unknown-type"),
    Sent("t/1/0", "c", 1, "cut-body", "letter"),
    Sent("t/1/1", "d", 1, "over-size", "letter", "too-large"),
    Sent("t/1/2", "e", 1, "due", "nothing"),
    Sent("t/0/2", "f", 1, "twin", "image"),
    Sent("t/1/3", "f", 1, "twin", "twin"),
    Sent("t/0/3", "g", 1, "rival", "rival", "idempotency-reused", "7"),
    # Delivered after the next pair's first: who belongs together is told by the event alone.
    Sent("t/0/4", "i", 1, "rival", "rival", "idempotency-reused", "8"),
    Sent("t/1/4", "h", 1, "rival", "rival", "idempotency-reused", "7"),
    Sent("t/1/5", "j", 1, "rival", "rival", "idempotency-reused", "8"),
]
REASONS = {"t/0/1": "unknown-type", "t/1/0": "truncated", "t/1/1": "too-large", "t/1/4": "idempotency-reused"}
REASONS["t/0/4"] = "idempotency-reused"
IMAGES = [
    *(Image(sha256 * 2, "processed", sha256) for sha256 in "afgj"),
    *(Image(sha256 * 2, "rejected", sha256) for sha256 in "bchi"),
]


def judged(images: list[Image], reasons: dict[str, str], told: list[str] | None = None) -> list[str]:
    """The names of the checks that failed."""
    letters = [Message(json.dumps({"reason": reason}).encode(), key.encode()) for key, reason in reasons.items()]
    report = Report()
    check_letters(report, SENT, letters, [{"key": key} for key in (reasons if told is None else told)])
    check_images(report, SENT, images, letters)
    assert report.passed + len(report.failed) == 8
    return [fault.partition(":")[0] for fault in report.failed]


def test_nothing_is_found_where_all_is_well() -> None:
    assert judged(IMAGES, REASONS) == []


def test_either_of_two_rivals_may_win() -> None:
    states = {"g": "rejected", "h": "processed"}
    images = [replace(image, state=states.get(image.sha256 or "", image.state)) for image in IMAGES]
    reasons = {key: reason for key, reason in REASONS.items() if key != "t/1/4"} | {"t/0/3": "idempotency-reused"}
    assert judged(images, reasons) == []
    assert judged(IMAGES, reasons) != []


@pytest.mark.parametrize(
    ("images", "fault"),
    [
        (IMAGES[1:], "every good image exists exactly once"),
        ([*IMAGES, Image("zz", "processed", "a")], "every good image exists exactly once"),
        ([*IMAGES, Image("zz", "processed", "e")], "every good image exists exactly once"),
        ([*IMAGES, Image("zz", "processed", "f")], "every good image exists exactly once"),
        (IMAGES[:-1], "every poison that is kept exists exactly once"),
        ([*IMAGES, Image("zz", "rejected", "d")], "every poison that is kept exists exactly once"),
        ([*IMAGES, Image("zz", "failed", "a")], "no image is unfinished, or failed"),
        ([*IMAGES, IMAGES[0]], "no id is listed twice"),
    ],
)
def test_an_image_too_few_or_too_many_is_named(images: list[Image], fault: str) -> None:
    assert fault in judged(images, REASONS)


@pytest.mark.parametrize("missing", REASONS)
def test_a_missing_letter_is_named(missing: str) -> None:
    found = judged(IMAGES, {key: reason for key, reason in REASONS.items() if key != missing})
    assert found[0] in (
        "every poison message has a dead letter, and no other has",
        "of two rivals one has a dead letter",
    )


def test_a_letter_too_many_a_wrong_reason_and_another_list_are_named() -> None:
    assert judged(IMAGES, {**REASONS, "t/0/0": "unknown-type"})[0].startswith("every poison message")
    assert "of two rivals one has a dead letter" in judged(IMAGES, {**REASONS, "t/0/3": "idempotency-reused"})
    assert judged(IMAGES, {**REASONS, "t/0/1": "too-many-pixels"}) == ["every dead letter says the right reason"]
    assert judged(IMAGES, {**REASONS, "t/1/0": ""}) == ["every dead letter says the right reason"]
    assert judged(IMAGES, REASONS, told=["t/0/1"]) == ["the server lists the same dead letters"]
    assert judged(IMAGES, REASONS, told=[*REASONS, "t/0/1"]) == ["the server lists the same dead letters"]
