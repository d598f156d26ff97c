"""What is asked over the owner's socket comes out as it went in."""

import json

import pytest

from mayfly.model import wire
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Rendition, Source
from mayfly.model.instant import MINUTE, Minute, Ms
from mayfly.model.lifecycle import State
from mayfly.model.retention import History, Retention
from mayfly.model.stream import Coordinates, Letter, Partition
from mayfly.model.terms import Terms

BIRTH = Ms(29_833_334 * MINUTE)
IMAGE = ImageId.new(BIRTH, Retention(60))
AT = Coordinates(Partition("photos", 3), 2**40)
RECORDS = [
    ImageRecord(IMAGE, State.RECEIVED, Source.KAFKA, "image/png", 3, bytes(range(256)), origin=AT),
    ImageRecord(
        IMAGE,
        State.PROCESSED,
        Source.HTTP,
        "image/jpeg",
        10_000_000,
        b"",
        labels={"site": "nörd"},
        attempts=2,
        reason="r",
        renditions=(Rendition("thumb", "image/webp", 9, 3, 4, "recipe", "thumb~1"),),
        facts={"format": "jpeg", "sharpness": 0.25, "nested": {"list": [1, None]}},
    ),
]
LETTERS = [
    Letter("photos/3/1099511627776", AT, IMAGE, "corrupt", BIRTH, Minute(29_833_400), 2, True),
    Letter(str(IMAGE), None, IMAGE, "worker-died", BIRTH, Minute(29_833_400)),
    Letter("photos/3/1", Coordinates(Partition("photos", 3), 1), None, "too-large", BIRTH, Minute(29_833_400)),
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record(record: ImageRecord) -> None:
    assert wire.record_of(json.loads(json.dumps(wire.record_to_json(record)))) == record


@pytest.mark.parametrize("letter", LETTERS)
def test_a_letter(letter: Letter) -> None:
    assert wire.letter_of(json.loads(json.dumps(wire.letter_to_json(letter)))) == letter


def test_terms() -> None:
    history = History(((BIRTH, Retention(60)), (Ms(BIRTH + 1), Retention(5))))
    terms = Terms("kafka", history, 10, 20, {"site": "fact", "customer": "personal"})
    assert wire.terms_of(json.loads(json.dumps(wire.terms_to_json(terms)))) == terms
