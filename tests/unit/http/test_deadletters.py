"""The routes of dead letters, over letters that lie in memory."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from mayfly.adapters.memory.clock import ManualClock
from mayfly.adapters.memory.dead_letters import MemoryDeadLetters
from mayfly.adapters.memory.key_store import MemoryKeyStore
from mayfly.adapters.memory.metadata_store import MemoryMetadataStore
from mayfly.entrypoints.http.app import create_app
from mayfly.entrypoints.http.stages import Stages
from mayfly.intake.redrive import Redriven, Result
from mayfly.model.identity import ImageId
from mayfly.model.instant import Minute, Ms, minute_of
from mayfly.model.retention import Retention
from mayfly.model.stream import Coordinates, Letter, Partition
from mayfly.ports.dead_letters import LettersWanted
from mayfly.queries.letters import Letters
from support.asgi import ask
from support.house import START

MINUTE = minute_of(START)


def letter(offset: int, *, kept: bool = True, topic: str = "images", reason: str = "unknown-type") -> Letter:
    at = Coordinates(Partition(topic, 3), offset)
    image_id = ImageId.of_record(START, Retention(60), "kafka", topic, 3, offset) if kept else None
    return Letter.of_record(at, image_id, reason, Ms(START + offset), Minute(MINUTE + 60))


class Shelf(MemoryDeadLetters):
    """Letters, and what was asked of them."""

    def __init__(self, letters: Iterable[Letter]) -> None:
        super().__init__(MemoryMetadataStore(ManualClock(START)))
        self.asked: list[LettersWanted] = []
        self.redriven: list[tuple[LettersWanted, bool, bool]] = []
        for letter in letters:
            self.note(letter)

    def letters(self, wanted: LettersWanted) -> list[Letter]:
        self.asked.append(wanted)
        return super().letters(wanted)

    def run(self, wanted: LettersWanted, *, dry_run: bool, force: bool) -> list[Redriven]:
        self.redriven.append((wanted, dry_run, force))
        results = (Result.REDRIVEN, Result.STILL_REFUSED, Result.NOTHING_KEPT)
        reasons = (None, "type-mismatch", None)
        return [Redriven(*one) for one in zip(self.letters(wanted), results, reasons, strict=False)]


class Desk:
    """The application with these letters, and nothing else."""

    def __init__(self, *letters: Letter) -> None:
        self.shelf = Shelf(letters)
        self.keys = MemoryKeyStore()
        self.keys.provide(MINUTE, Minute(MINUTE + 120))
        stages = SimpleNamespace(letters=Letters(self.shelf, self.keys), redrive=self.shelf)
        self.app = create_app(cast("Stages", stages))

    def get(self, **parameters: str) -> httpx.Response:
        return ask(self.app, "GET", "/v1/deadletters", params=parameters)

    def redrive(self, body: Any) -> httpx.Response:
        return ask(self.app, "POST", "/v1/deadletters/redrive", json=body)


def test_a_letter_of_a_record_says_where_it_stood_and_what_is_kept() -> None:
    kept, lost = letter(7), letter(8, kept=False, reason="too-large")
    answer = Desk(kept, lost).get()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-store")
    assert answer.json() == {
        "items": [
            {
                "key": "images/3/7",
                "source": "kafka",
                "topic": "images",
                "partition": 3,
                "offset": 7,
                "image_id": str(kept.image_id),
                "reason": "unknown-type",
                "redrives": 0,
                "died_at": "2026-09-21T14:14:00.007Z",
                "expires_at": "2026-09-21T15:14:00Z",
                "kept": True,
            },
            {
                "key": "images/3/8",
                "source": "kafka",
                "topic": "images",
                "partition": 3,
                "offset": 8,
                "image_id": None,
                "reason": "too-large",
                "redrives": 0,
                "died_at": "2026-09-21T14:14:00.008Z",
                "expires_at": "2026-09-21T15:15:00Z",
                "kept": False,
            },
        ],
        "next_cursor": None,
    }


def test_a_letter_of_an_image_over_http_has_no_coordinates() -> None:
    image_id = ImageId.new(START, Retention(60))
    of_http = Letter(str(image_id), None, image_id, "worker-died", START, image_id.expiry_minute, redrives=2)
    (item,) = Desk(of_http).get().json()["items"]
    assert (item["key"], item["image_id"], item["redrives"]) == (str(image_id), str(image_id), 2)
    assert (item["source"], item["topic"], item["partition"], item["offset"]) == ("http", None, None, None)


def test_pages_follow_one_another_to_the_end_and_show_each_letter_once() -> None:
    desk = Desk(*map(letter, range(5)))
    seen, parameters = [], {"limit": "2"}
    while True:
        page = desk.get(**parameters).json()
        seen += [item["offset"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert seen == [0, 1, 2, 3, 4]
    assert len(desk.shelf.asked) == 3


def test_what_was_erased_a_moment_ago_is_listed_no_more() -> None:
    there, erased = letter(1), letter(2)
    desk = Desk(there, erased)
    assert erased.image_id is not None
    desk.keys.remember_erased(erased.image_id)
    assert [item["offset"] for item in desk.get().json()["items"]] == [1]


def test_every_filter_is_passed_on_as_it_was_meant() -> None:
    desk = Desk()
    times = {"died_from": "2026-11-23T00:00:00Z", "died_to": "2026-11-23T02:00:00 02:00"}
    desk.get(reason="corrupt", topic="a.b", partition="0", limit="200", **times)
    (wanted,) = desk.shelf.asked
    assert wanted == LettersWanted("corrupt", "a.b", 0, Ms(1_795_392_000_000), Ms(1_795_392_000_000), 201, None)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"state": "failed"}, "is no filter; there are cursor, died_from"),
        ({"limit": "0"}, "limit is 1 to 200"),
        ({"limit": "201"}, "limit is 1 to 200"),
        ({"partition": "-1"}, "partition is 0 to 2147483647"),
        ({"partition": "2147483648"}, "partition is 0 to 2147483647"),
        ({"partition": "٣"}, "partition is 0 to"),
        ({"partition": ""}, "partition is 0 to"),
        ({"died_from": "yesterday"}, "died_from is an RFC 3339 time"),
        ({"died_to": "2026-11-23T00:00:00"}, "died_to is an RFC 3339 time"),
        ({"cursor": "AAAA"}, "the cursor is broken"),
        ({"cursor": base64.urlsafe_b64encode(b"\x01" + bytes(16)).decode()}, "the cursor is broken"),
        ({"cursor": base64.urlsafe_b64encode(b"\x02\xff\xff\xff").decode()}, "the cursor is broken"),
    ],
)
def test_what_does_not_read_as_a_filter_is_refused(parameters: Mapping[str, str], says: str) -> None:
    answer = Desk().get(**parameters)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-request")
    assert says in answer.json()["detail"]


def test_a_redrive_tells_what_became_of_each_and_how_many_of_each_result() -> None:
    one, two, three = letter(1), letter(2), letter(3, kept=False)
    desk = Desk(one, two, three)
    answer = desk.redrive({"topic": "images"})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-store")
    assert answer.json() == {
        "results": [
            {"key": "images/3/1", "image_id": str(one.image_id), "result": "redriven", "reason": None},
            {"key": "images/3/2", "image_id": str(two.image_id), "result": "still-refused", "reason": "type-mismatch"},
            {"key": "images/3/3", "image_id": None, "result": "nothing-kept", "reason": None},
        ],
        "counts": {
            "redriven": 1,
            "still-refused": 1,
            "nothing-kept": 1,
            "too-often": 0,
            "gone": 0,
            "under-way": 0,
        },
        "next_cursor": None,
    }
    assert desk.shelf.redriven == [(LettersWanted(topic="images"), False, False)]


def test_a_redrive_takes_the_filters_of_the_list_and_goes_on_where_it_ended() -> None:
    desk = Desk(letter(9), *(letter(offset, topic="a.b", reason="corrupt") for offset in range(3)))
    body = {
        "reason": "corrupt",
        "topic": "a.b",
        "partition": 3,
        "died_from": "2026-09-21T14:14:00Z",
        "died_to": "2026-09-21T16:14:01+02:00",
        "limit": 2,
        "dry_run": True,
        "force": True,
    }
    first = desk.redrive(body).json()
    second = desk.redrive({**body, "cursor": first["next_cursor"]}).json()
    assert [result["key"] for result in first["results"] + second["results"]] == [f"a.b/3/{n}" for n in range(3)]
    assert second["next_cursor"] is None
    expected = LettersWanted("corrupt", "a.b", 3, START, Ms(START + 1_000), 2, None)
    assert desk.shelf.redriven == [(expected, True, True), (replace(expected, after="a.b/3/1"), True, True)]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "dictionary"),
        ({"reasons": "corrupt"}, "reasons"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"force": 1}, "force"),
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"partition": "3"}, "partition"),
        ({"partition": -1}, "partition"),
        ({"died_to": "soon"}, "died_to is an RFC 3339 time"),
        ({"cursor": "images/3/1"}, "the cursor is broken"),
    ],
)
def test_a_wish_that_cannot_be_read_redrives_nothing(body: Any, says: str) -> None:
    desk = Desk(letter(1))
    answer = desk.redrive(body)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-request")
    assert says in answer.json()["detail"]
    assert desk.shelf.redriven == []


def test_only_json_redrives() -> None:
    desk = Desk(letter(1))
    answer = ask(desk.app, "POST", "/v1/deadletters/redrive", content=b"{}", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, desk.shelf.redriven) == (415, [])
