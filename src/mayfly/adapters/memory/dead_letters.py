"""Dead letters in the tables of the memory metadata store."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from mayfly.adapters.memory.metadata_store import MemoryMetadataStore
from mayfly.adapters.memory.tables import LetterRow
from mayfly.model.errors import Expired
from mayfly.model.instant import Ms, minute_end
from mayfly.model.stream import Letter, Partition
from mayfly.ports.dead_letters import LettersWanted


class MemoryDeadLetters:
    def __init__(self, metadata: MemoryMetadataStore) -> None:
        self._tables = metadata.tables

    def note(self, letter: Letter) -> Letter:
        with self._tables.changed:
            if self._tables.clock.now() >= minute_end(letter.minute):
                raise Expired(f"the minute of letter {letter.key} is over")
            return self._tables.letters.setdefault(letter.key, LetterRow(letter)).letter

    def letter(self, key: str) -> Letter | None:
        return next((row.letter for row in self._open() if row.letter.key == key), None)

    def letters(self, wanted: LettersWanted) -> list[Letter]:
        found = [row.letter for row in self._open() if _matches(row.letter, wanted)]
        return sorted(found, key=lambda letter: letter.key)[: wanted.limit]

    def unpublished(self, limit: int, partitions: Collection[Partition] | None = None) -> list[Letter]:
        found = [row.letter for row in self._open() if not (row.failed or row.letter.published)]
        found = [
            letter
            for letter in found
            if letter.at is not None and (partitions is None or letter.at.partition in partitions)
        ]
        return sorted(found, key=lambda letter: (letter.died_at, letter.key))[:limit]

    def published(self, key: str, died_at: Ms) -> None:
        with self._tables.changed:
            row = self._tables.letters.get(key)
            if row is not None and row.letter.died_at == died_at:
                row.letter = replace(row.letter, published=True)

    def bounds(self, topic: str) -> Mapping[Partition, int]:
        oldest: dict[Partition, int] = {}
        for row in self._open():
            at = row.letter.at
            if at is not None and at.partition.topic == topic:
                oldest[at.partition] = min(at.offset, oldest.get(at.partition, at.offset))
        return oldest

    def standing(self) -> int:
        with self._tables.changed:
            return sum(row.open and row.letter.at is not None for row in self._tables.letters.values())

    def _open(self) -> list[LetterRow]:
        with self._tables.changed:
            now = self._tables.clock.now()
            return [row for row in self._tables.letters.values() if row.open and now < row.expires_at]


def _matches(letter: Letter, wanted: LettersWanted) -> bool:
    partition = None if letter.at is None else letter.at.partition
    return (
        (wanted.after is None or letter.key > wanted.after)
        and wanted.reason in (None, letter.reason)
        and (wanted.topic is None or (partition is not None and partition.topic == wanted.topic))
        and (wanted.partition is None or (partition is not None and partition.number == wanted.partition))
        and (wanted.died_from is None or letter.died_at >= wanted.died_from)
        and (wanted.died_to is None or letter.died_at < wanted.died_to)
    )
