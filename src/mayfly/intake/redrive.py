"""Redrive: what died is given another chance, after somebody mended what killed it.

A letter points at an image whose bytes are kept sealed. One that the door refused is inspected again, under today's
settings; one that decoding rejected, or that failed, is processed again as it is. Its id stays, and so do its birth
and its death. What is reopened has no open letter any more, so redriving twice makes one image of it.
"""

from dataclasses import dataclass
from enum import StrEnum

from mayfly.intake.inspect import Inspector
from mayfly.intake.reasons import SLUGS, reason_of
from mayfly.model.address import Address
from mayfly.model.errors import (
    Busy,
    ClockHeld,
    Conflict,
    Gone,
    InvalidRequest,
    NotFound,
    ObjectMissing,
    Refused,
    Unopenable,
)
from mayfly.model.formats import HEAD_BYTES
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord
from mayfly.model.job import Job
from mayfly.model.journal import Journal
from mayfly.model.lifecycle import State
from mayfly.model.stream import Letter
from mayfly.ports.clock import Clock
from mayfly.ports.dead_letters import DeadLetters, LettersWanted
from mayfly.ports.metadata_store import MetadataStore
from mayfly.ports.work_queue import WorkQueue
from mayfly.vault.vault import Vault

MOST_REDRIVES = 3
"""What died again after so many is not given another chance, unless somebody insists."""
MOST_WAITING = 1_000
"""Jobs in the queue from which on nothing is redriven: what comes in now would wait behind all of them."""
ORIGINS = frozenset({State.FAILED, State.REJECTED})
_OF_THE_DOOR = frozenset(SLUGS.values())


class Result(StrEnum):
    REDRIVEN = "redriven"
    """It is `received` again, with a job; in a dry run: it would be."""
    STILL_REFUSED = "still-refused"
    """The inspection refuses it again."""
    NOTHING_KEPT = "nothing-kept"
    """There are no bytes to begin anew from."""
    TOO_OFTEN = "too-often"
    """It was redriven `MOST_REDRIVES` times, and died each time."""
    GONE = "gone"
    """It reached the end of its life, or was erased."""
    UNDER_WAY = "under-way"
    """Somebody else reopened it already."""


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of a letter, or would. `reason` is a slug: why it is refused now, else why it had died."""

    letter: Letter
    result: Result
    reason: str | None


class Redrive:
    def __init__(
        self,
        letters: DeadLetters,
        metadata: MetadataStore,
        queue: WorkQueue,
        vault: Vault,
        clock: Clock,
        max_pixels: int,
        journal: Journal,
    ) -> None:
        self._letters = letters
        self._metadata = metadata
        self._queue = queue
        self._vault = vault
        self._clock = clock
        self._max_pixels = max_pixels
        self._journal = journal

    def run(self, wanted: LettersWanted, *, dry_run: bool, force: bool) -> list[Redriven]:
        """Redrive the letters that are wanted, in their order. With `dry_run` only look; with `force` also those that
        were redriven too often.

        Raises:
            ClockHeld: nothing was done.
            Busy: the queue is long already; nothing was done.
            StorageFull: what was redriven before stays so; the rest is still there to be redriven.
        """
        if self._clock.held():
            raise ClockHeld("wall time jumped and nobody confirmed it yet: nothing is redriven meanwhile")
        if not dry_run and self._queue.depth() >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} images wait to be processed; go on when there are fewer")
        return [self._one(letter, dry_run, force) for letter in self._letters.letters(wanted)]

    def _one(self, letter: Letter, dry_run: bool, force: bool) -> Redriven:
        if letter.image_id is None:
            return Redriven(letter, Result.NOTHING_KEPT, letter.reason)
        if letter.redrives >= MOST_REDRIVES and not force:
            return Redriven(letter, Result.TOO_OFTEN, letter.reason)
        try:
            self._begin_anew(letter.image_id, dry_run)
        except Refused as refusal:
            return Redriven(letter, Result.STILL_REFUSED, reason_of(refusal))
        except (ObjectMissing, Unopenable):
            return Redriven(letter, Result.NOTHING_KEPT, letter.reason)
        except (Gone, NotFound):
            return Redriven(letter, Result.GONE, letter.reason)
        except Conflict:
            return Redriven(letter, Result.UNDER_WAY, letter.reason)
        return Redriven(letter, Result.REDRIVEN, letter.reason)

    def _begin_anew(self, image_id: ImageId, dry_run: bool) -> None:
        record = self._metadata.get(image_id)
        if record.state not in ORIGINS:
            raise Conflict(f"the image is {record.state}")
        media_type = self._inspected(record)
        if not dry_run:
            self._metadata.reopen(image_id, Job(image_id), ORIGINS, media_type)
            self._journal("redriven", image=str(image_id), reason=record.reason)

    def _inspected(self, record: ImageRecord) -> str:
        """Its media type, as far as it is known now."""
        reader = self._vault.open(Address.original(record.id))
        try:
            if record.state is State.FAILED or record.reason not in _OF_THE_DOOR:
                return record.media_type
            if record.reason == SLUGS[InvalidRequest]:
                # Headers are not kept, and without its labels it would not be the image that was sent.
                raise InvalidRequest("its headers were at fault, and are not kept: produce the record again")
            # What was declared is not kept either: whoever redrives takes the bytes for what they are.
            inspector = Inspector(self._max_pixels, None)
            for chunk in reader.chunks(0, HEAD_BYTES):
                inspector.feed(chunk)
            return str(inspector.finish())
        finally:
            reader.close()
