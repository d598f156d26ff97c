"""Dead letters, asked of the owner."""

from collections.abc import Collection, Mapping
from dataclasses import asdict

from mayfly.adapters.owner.line import OwnerLine
from mayfly.model.instant import Ms
from mayfly.model.stream import Letter, Partition
from mayfly.model.wire import letter_of, letter_to_json
from mayfly.ports.dead_letters import LettersWanted


class OwnerDeadLetters:
    """Implements `ports.dead_letters.DeadLetters`."""

    def __init__(self, line: OwnerLine) -> None:
        self._line = line

    def note(self, letter: Letter) -> Letter:
        return letter_of(self._line.ask_durable({"op": "note", "letter": letter_to_json(letter)}))

    def letter(self, key: str) -> Letter | None:
        told = self._line.ask({"op": "letter", "key": key})
        return None if told is None else letter_of(told)

    def letters(self, wanted: LettersWanted) -> list[Letter]:
        return [letter_of(told) for told in self._line.ask({"op": "letters", "wanted": asdict(wanted)})]

    def unpublished(self, limit: int, partitions: Collection[Partition] | None = None) -> list[Letter]:
        places = None if partitions is None else [[one.topic, one.number] for one in partitions]
        told = self._line.ask({"op": "unpublished", "limit": limit, "partitions": places})
        return [letter_of(one) for one in told]

    def published(self, key: str, died_at: Ms) -> None:
        self._line.ask_durable({"op": "published", "key": key, "died_at": died_at})

    def bounds(self, topic: str) -> Mapping[Partition, int]:
        told = self._line.ask({"op": "bounds", "topic": topic})
        return {Partition(topic, int(number)): offset for number, offset in told.items()}
