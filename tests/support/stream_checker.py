"""What became of a campaign's messages, seen from outside: by HTTP and by reading topics, and by nothing else.

Nothing of the server is imported here, not even its client: what it says of itself is not believed.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from support.stream_plan import COORDINATES_ONLY, Fate
from support.topics import Message

PAGE = 200
SECONDS = 60.0
TOLD = 5
"""How many examples a failed check names."""


@dataclass(frozen=True)
class Sent:
    """A message of the campaign as the topic has it. `key` is topic/partition/offset, `event` the CloudEvent's id."""

    key: str
    sha256: str
    size: int
    kind: str
    fate: Fate
    reason: str = ""
    event: str = ""


@dataclass(frozen=True)
class Image:
    """An image as it is answered for."""

    identity: str
    state: str
    sha256: str | None


@dataclass
class Report:
    """Checks, each with what it found."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)

    def check(self, name: str, holds: bool, found: object = "") -> None:
        print(f"{'ok  ' if holds else 'FAIL'} {name}{f': {found}' if found != '' else ''}", flush=True)
        if holds:
            self.passed += 1
        else:
            self.failed.append(f"{name}: {found}")

    def same(self, name: str, found: Iterable[object], expected: Iterable[object]) -> None:
        """Both hold the same, as often."""
        have, want = Counter(list(found)), Counter(list(expected))
        more, fewer = list((have - want).elements()), list((want - have).elements())
        wrong = [f"{len(some)} {how}: {some[:TOLD]}" for how, some in (("missing", fewer), ("too many", more)) if some]
        self.check(name, not wrong, "; ".join(wrong) or f"{have.total():,}")

    def line(self) -> str:
        return f"{self.passed} passed, {len(self.failed)} failed"


class Witness:
    """Asks the server, by HTTP."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=SECONDS, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def items(self, path: str, **wanted: str) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        cursor: str | None = None
        while True:
            parameters = {"limit": str(PAGE), **wanted} | ({"cursor": cursor} if cursor else {})
            response = self._http.get(path, params=parameters)
            assert response.status_code == 200, response.text
            yield from response.json()["items"]
            cursor = response.json()["next_cursor"]
            if cursor is None:
                return

    def busy(self) -> bool:
        """Whether an image waits for its processing still, or is in it."""
        return any(
            self._http.get("/v1/images", params={"state": state, "limit": "1"}).json()["items"]
            for state in ("received", "processing")
        )

    def images(self) -> list[Image]:
        """All there are, each looked at."""
        found = []
        for item in self.items("/v1/images"):
            response = self._http.get(f"/v1/images/{item['id']}")
            assert response.status_code == 200, response.text
            image = response.json()
            found.append(Image(image["id"], image["state"], image["sha256"]))
        return found

    def digest(self, identity: str) -> str:
        """Of the original, as it is served."""
        digest = hashlib.sha256()
        with self._http.stream("GET", f"/v1/images/{identity}/original") as response:
            assert response.status_code == 200, response.status_code
            for part in response.iter_bytes():
                digest.update(part)
        return digest.hexdigest()

    def letters(self) -> list[dict[str, Any]]:
        """The open dead letters."""
        return list(self.items("/v1/deadletters"))


def check_letters(report: Report, sent: Iterable[Sent], letters: Iterable[Message], told: list[dict[str, Any]]) -> None:
    """`letters` are the records of the dead-letter topic, `told` what the server lists."""
    by_key = {bytes(letter.key or b"").decode(): json.loads(letter.value or b"null") for letter in letters}
    everything = list(sent)
    expected = [one.key for one in everything if one.fate == "letter"]
    rivals = {one.key for one in everything if one.fate == "rival"}
    report.same("every poison message has a dead letter, and no other has", by_key.keys() - rivals, expected)
    pairs = _pairs(everything)
    wrong = [pair for pair in pairs if sum(key in by_key for key in pair) != 1 or len(pair) != 2]
    report.check("of two rivals one has a dead letter", not wrong, wrong[:TOLD] or f"{len(pairs)} pairs")
    reasons = {one.key: one.reason for one in everything}
    other = {
        key: letter["reason"]
        for key, letter in by_key.items()
        if not letter["reason"] or reasons.get(key) not in ("", letter["reason"])
    }
    odd = list(other.items())[:TOLD] or f"{len(by_key)} distinct keys"
    report.check("every dead letter says the right reason", not other, odd)
    report.same("the server lists the same dead letters", [letter["key"] for letter in told], by_key)


def check_images(report: Report, sent: Iterable[Sent], images: list[Image], letters: Iterable[Message]) -> None:
    """Everything exists once and in its state, and nothing else does."""
    everything, dead = list(sent), {bytes(letter.key or b"").decode() for letter in letters}
    why = {bytes(one.key or b"").decode(): json.loads(one.value or b"null")["reason"] for one in letters}
    good = [one for one in everything if one.fate == "image" or (one.fate == "rival" and one.key not in dead)]
    kept = [one for one in everything if one.key in dead and why[one.key] not in COORDINATES_ONLY]
    ids = Counter(image.identity for image in images)
    report.check("no id is listed twice", len(ids) == len(images), f"{len(ids):,} ids")
    by_state = Counter(image.state for image in images)
    report.check("no image is unfinished, or failed", set(by_state) <= {"processed", "rejected"}, dict(by_state))
    for name, state, wanted in (
        ("every good image exists exactly once", "processed", good),
        ("every poison that is kept exists exactly once", "rejected", kept),
    ):
        report.same(name, [i.sha256 for i in images if i.state == state], [one.sha256 for one in wanted])


def check_originals(report: Report, witness: Witness, images: list[Image], sample: int) -> None:
    """The bytes as they are served are those that were sent: of every so many images, and of as many as that."""
    looked_at = [image for image in images if image.state == "processed"][:: max(1, len(images) // sample)]
    wrong = [image.identity for image in looked_at if witness.digest(image.identity) != image.sha256]
    report.check("originals come back byte for byte", not wrong, wrong[:TOLD] or f"{len(looked_at)} looked at")


def _pairs(sent: list[Sent]) -> list[list[str]]:
    """The keys of rivals, two and two: those that say they are one event."""
    found: dict[str, list[str]] = {}
    for one in sent:
        if one.fate == "rival":
            found.setdefault(one.event, []).append(one.key)
    return list(found.values())
