"""The messages of a campaign, made by a seed, and what has to become of each: images, and poison of every kind."""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from support.pictures import ENCODED, gradient, png_bomb
from support.stream_pictures import JPEG, LIMIT, PNG, Picture, bases, grown, marked
from support.topics import Message

SMALLEST_LARGE = 2 << 20
LARGE, AT_THE_LIMIT = 0.1, 0.1
"""Large ones among the good, and those of exactly 10 MiB among these."""
FROM_PHOTOS = 0.05
"""Among the small ones, where there are photos."""
POISONED, DUE, PAIRS = 0.05, 0.005, 0.01
SOURCE = b"/campaign"
LABEL = "site"
"""The one label that the campaign's server declares."""
AHEAD_MS, BACK_MS = 50 * 60_000, 8 * 86_400_000
"""As far ahead as a broker allows; longer ago than an image may live."""
MARK = 16
"""Bytes."""

Fate = Literal["image", "letter", "nothing", "twin", "rival"]
"""An image; a dead letter; nothing, since it is due; nothing, since the twin before it is the image; an image or a dead
letter, and the other one for its rival, which stands before it or after."""

Headers = tuple[tuple[str, bytes], ...]

COORDINATES_ONLY = {"too-large", "empty-body", "from-the-future"}
"""The reasons of dead letters for which nothing is kept; all others are kept as rejected images."""


@dataclass(frozen=True)
class Planned:
    """`reason` is what its dead letter has to say; empty where decoding has the word, or where there is none."""

    message: Message
    kind: str
    fate: Fate = "image"
    reason: str = ""


def plan(count: int, partitions: int, seed: int, photos: Sequence[Picture] = ()) -> Iterator[Planned]:
    """The messages in their order, spread evenly over the partitions. The same seed gives the same bytes."""
    recipe = Recipe(seed, photos)
    batch: list[Planned] = []
    for number in range(count):
        batch = batch or recipe.next(number, last=number + 1 == count)
        planned = batch.pop(0)
        yield replace(planned, message=replace(planned.message, partition=number % partitions))


class Recipe:
    """Draws what comes next."""

    def __init__(self, seed: int, photos: Sequence[Picture]) -> None:
        self._chance = random.Random(seed)
        self._pictures, self._photos = bases(self._chance), photos
        self._kinds = itertools.cycle(POISON)
        self._filling = self._chance.randbytes(LIMIT)
        """Of every large file: its mark tells it from others."""

    def next(self, number: int, *, last: bool) -> list[Planned]:
        """One message, or two that belong together."""
        draw = self._chance.random()
        if draw < POISONED:
            kind = next(self._kinds)
            return [POISON[kind](kind, self._sound(number), self._filling)]
        if draw < POISONED + DUE:
            return [Planned(Message(self._sound(number), timestamp=_now() - BACK_MS), "due", "nothing")]
        if draw < POISONED + DUE + PAIRS and not last:
            return self._pair(number)
        return [self._good(number)]

    def _good(self, number: int) -> Planned:
        mark = self._mark(number)
        if self._chance.random() < LARGE:
            body, media_type = self._chance.choice(self._pictures)
            at_the_limit = self._chance.random() < AT_THE_LIMIT
            size = LIMIT if at_the_limit else self._chance.randrange(SMALLEST_LARGE, LIMIT)
            value = grown(body, media_type, mark, size, self._filling)
            return Planned(Message(value, headers=described(number, media_type)), "large")
        real = bool(self._photos) and self._chance.random() < FROM_PHOTOS
        body, media_type = self._chance.choice(self._photos if real else self._pictures)
        # Half of them come as plain bytes, the others as CloudEvents.
        headers = described(number, media_type) if number % 2 else ()
        return Planned(Message(marked(body, media_type, mark), headers=headers), "photo" if real else "small")

    def _pair(self, number: int) -> list[Planned]:
        """Two messages that say they are one CloudEvent: with the same bytes, twins; with others, rivals."""
        body, media_type = self._chance.choice(self._pictures)
        headers = described(number, media_type)
        first, other = (marked(body, media_type, self._mark(number + more)) for more in (0, 1))
        if self._chance.random() < 0.5:
            twin = Message(first, headers=headers)
            return [Planned(twin, "twin"), Planned(twin, "twin", "twin")]
        rivals = (Message(value, headers=headers) for value in (first, other))
        return [Planned(rival, "rival", "rival", "idempotency-reused") for rival in rivals]

    def _sound(self, number: int) -> bytes:
        """A JPEG that nothing is wrong with, yet."""
        return marked(ENCODED[JPEG](gradient(64, 48)), JPEG, self._mark(number))

    def _mark(self, number: int) -> bytes:
        return number.to_bytes(4, "big") + self._chance.randbytes(MARK - 4)


def described(number: int, media_type: str) -> Headers:
    """The headers of a CloudEvent in binary mode, with a label."""
    label = (f"ce_label{LABEL}", b"plant-%d" % (number % 7))
    event = (("ce_specversion", b"1.0"), ("ce_id", b"%d" % number), ("ce_source", SOURCE), ("ce_type", b"picture"))
    return (*event, label, ("content-type", media_type.encode()))


def _now() -> int:
    return int(time.time() * 1000)


Brew = Callable[[str, bytes, bytes], Planned]
"""Makes poison of a kind from a sound JPEG, whose mark follows its first 6 bytes, and what fills a large file."""


def _bytes(spoil: Callable[[bytes], bytes | None], reason: str, headers: Headers = ()) -> Brew:
    return lambda kind, jpeg, _: Planned(Message(spoil(jpeg), headers=headers), kind, "letter", reason)


def _over(kind: str, jpeg: bytes, filling: bytes) -> Planned:
    return Planned(Message(grown(jpeg, JPEG, b"", LIMIT + 1, filling)), kind, "letter", "too-large")


def _ahead(kind: str, jpeg: bytes, _: bytes) -> Planned:
    return Planned(Message(jpeg, timestamp=_now() + AHEAD_MS), kind, "letter", "from-the-future")


POISON: dict[str, Brew] = {
    "text": _bytes(lambda jpeg: b"Dear all, " + jpeg[6 : 6 + MARK].hex().encode() * 4, "unknown-type"),
    "cut-head": _bytes(lambda jpeg: jpeg[: 6 + MARK], ""),
    "cut-body": _bytes(lambda jpeg: jpeg[: len(jpeg) * 2 // 3], ""),
    "mismatch": _bytes(lambda jpeg: jpeg, "type-mismatch", (("content-type", b"image/png"),)),
    "other-type": _bytes(lambda jpeg: jpeg, "unknown-type", (("content-type", b"application/pdf"),)),
    "label": _bytes(lambda jpeg: jpeg, "invalid-request", (("ce_labelmood", b"calm"),)),
    "bomb": _bytes(lambda jpeg: marked(png_bomb(), PNG, jpeg[6 : 6 + MARK]), "too-many-pixels"),
    "over-size": _over,
    "empty": _bytes(lambda _: b"", "empty-body"),
    "tombstone": _bytes(lambda _: None, "empty-body"),
    "future": _ahead,
}
