"""Dead letters: images, and records of a stream, that ended without having been processed and wait for a person.

A letter is written by the step that kills: `MetadataStore.admit` (with a record that is `rejected` at once) and
`settle` (`Failed`; `RejectedVerdict` of an image from a stream) write it in the same atomic step, and `note` writes one
for which nothing was kept. It is `open` until its image is reopened (`MetadataStore.reopen` closes it), or until its
record is admitted after all, and goes with `delete` and with the purge of its minute. Dying again opens it anew, under
the same key, unpublished, with one more redrive counted.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from mayfly.model.instant import Ms
from mayfly.model.stream import Letter, Partition


@dataclass(frozen=True, slots=True)
class LettersWanted:
    """Which letters; None leaves a bound out. `after` is the key of the last one of the page before."""

    reason: str | None = None
    topic: str | None = None
    partition: int | None = None
    died_from: Ms | None = None
    died_to: Ms | None = None
    limit: int = 50
    after: str | None = None


class DeadLetters(Protocol):
    def note(self, letter: Letter) -> Letter:
        """Remember, durably, a letter for which nothing was kept. Returns the one that stands: of the same key, an
        older one stays as it is.

        Raises:
            Expired: its minute has ended; nothing is remembered.
            StorageFull: nothing is remembered.
        """
        ...

    def letter(self, key: str) -> Letter | None:
        """The open letter of that key."""
        ...

    def letters(self, wanted: LettersWanted) -> list[Letter]:
        """Open letters by key, ascending; what is due is not listed."""
        ...

    def unpublished(self, limit: int, partitions: Collection[Partition] | None = None) -> list[Letter]:
        """Open letters of a stream's records that were rejected (not `failed` ones: those are ours to mend) and that
        the dead-letter topic does not have yet, oldest death first. `partitions`: of these alone, so that letters that
        nobody writes keep no others from being seen; None: of all."""
        ...

    def published(self, key: str, died_at: Ms) -> None:
        """Remember, durably, that the topic has the letter that died then. One that died again since stays
        unpublished; a missing one is no error."""
        ...

    def bounds(self, topic: str) -> Mapping[Partition, int]:
        """By partition, the offset of the oldest open letter: nothing from there on may be trimmed."""
        ...


class LettersStanding(Protocol):
    """What the owner itself asks beside, of its own letters."""

    def standing(self) -> int:
        """How many open letters of streams' records there are, `failed` ones included. One that is due counts until its
        minute is purged."""
        ...
