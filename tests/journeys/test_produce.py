"""`mayfly produce` on a real broker: what it writes is what the door takes, and what it cannot write is named."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from mayfly.cli.produce import Producing, produce
from mayfly.model.errors import MayflyError, Misconfigured
from support.pictures import gif
from support.topics import Message, Topics, header

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def folder(tmp_path: Path, small: bytes) -> Path:
    """Two images, one of them deeper, and what is none by its name."""
    photos = tmp_path / "photos"
    (photos / "deeper").mkdir(parents=True)
    (photos / "a small.jpg").write_bytes(small)
    (photos / "deeper" / "b.gif").write_bytes(gif(1))
    (photos / "notes.txt").write_text("no image")
    return photos


@pytest.fixture
def run(broker: Topics, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The exit code, and the answer in JSON."""
    monkeypatch.chdir(folder.parent)

    def one(topic: str, *labels: str, rate: float | None = None, claim_checks: bool = False) -> tuple[int, Any]:
        options = {"kafka": broker.bootstrap, "topic": topic}
        code = produce(None, options, Producing(folder, labels, rate, claim_checks, as_json=True))
        return code, json.loads(capsys.readouterr().out)

    return one


def text_of(message: Message, name: str) -> str:
    return (header(message, name) or b"").decode()


def test_each_image_is_a_cloud_event_in_binary_mode(broker: Topics, run: Run, small: bytes) -> None:
    topic = broker.create_topic(partitions=2)
    assert run(topic, "camera=front") == (0, {"produced": 2, "bytes": len(small) + len(gif(1)), "faults": {}})
    written = {text_of(message, "content-type"): message for message in broker.records(topic)}
    assert written.keys() == {"image/jpeg", "image/gif"}
    assert written["image/jpeg"].value == small
    assert "a%20small.jpg" in text_of(written["image/jpeg"], "content-disposition")
    for message in written.values():
        assert text_of(message, "ce_specversion") == "1.0"
        assert text_of(message, "ce_source") == "urn:mayfly:produce"
        assert text_of(message, "ce_type") == "mayfly.image.produced"
        assert text_of(message, "ce_labelcamera") == "front"
        assert RFC3339.fullmatch(text_of(message, "ce_time"))
        assert message.key == header(message, "ce_id")
    assert len({message.key for message in written.values()}) == 2


def test_a_claim_check_says_where_the_file_is_and_what_it_holds(
    broker: Topics, run: Run, folder: Path, small: bytes
) -> None:
    topic = broker.create_topic()
    assert run(topic, claim_checks=True)[0] == 0
    messages = broker.records(topic)
    assert [text_of(message, "content-type") for message in messages] == ["application/json"] * 2
    claim = json.loads(messages[0].value or b"")
    assert claim == {"uri": claim["uri"], "sha256": hashlib.sha256(small).hexdigest(), "bytes": len(small)}
    assert Path(unquote(urlsplit(claim["uri"]).path)) == (folder / "a small.jpg").resolve()


def test_a_file_that_is_too_large_or_no_image_is_named_and_left_out(
    broker: Topics, run: Run, folder: Path, small: bytes
) -> None:
    (folder / "large.jpg").write_bytes(small + bytes(10 * 1024 * 1024))
    (folder / "text.png").write_text("no image")
    whole = small + bytes(10 * 1024 * 1024 - len(small))
    (folder / "whole.jpg").write_bytes(whole)
    topic = broker.create_topic()
    code, told = run(topic)
    assert (code, told["produced"]) == (1, 3)
    assert told["faults"].keys() == {str(folder / "large.jpg"), str(folder / "text.png")}
    assert "max_bytes" in told["faults"][str(folder / "large.jpg")]
    # The exact limit still fits.
    assert whole in [message.value for message in broker.records(topic)]


def test_what_the_broker_does_not_take_is_named(broker: Topics, run: Run, folder: Path, small: bytes) -> None:
    topic = broker.create_topic(max_message_bytes=str(len(small) // 2))
    code, told = run(topic)
    assert (code, told["produced"] < 2) == (1, True)
    assert "size too large" in told["faults"][str(folder / "a small.jpg")].lower()


def test_a_rate_keeps_messages_apart(broker: Topics, run: Run) -> None:
    topic = broker.create_topic()
    run(topic, rate=5.0)
    first, second = broker.records(topic)
    assert second.timestamp - first.timestamp >= 190


def test_what_cannot_begin_says_why(broker: Topics, run: Run, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no nowhere-at-all at"):
        run("nowhere-at-all")
    with pytest.raises(Misconfigured, match="NAME=VALUE"):
        run(broker.create_topic(), "camera")
    with pytest.raises(Misconfigured, match="topic"):
        run("")
    empty = tmp_path / "empty"
    empty.mkdir()
    for place in (empty, tmp_path / "missing"):
        with pytest.raises(MayflyError, match=str(place)):
            produce(None, {"kafka": broker.bootstrap, "topic": "photos"}, Producing(place, (), None, False, True))
