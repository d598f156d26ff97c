"""Finding dead letters."""

from dataclasses import dataclass, replace

from mayfly.model.stream import Letter
from mayfly.ports.dead_letters import DeadLetters, LettersWanted
from mayfly.ports.key_store import KeyStore


@dataclass(frozen=True, slots=True)
class LettersPage:
    """`next_after` is what to pass as `after` for the next page; None on the last."""

    letters: tuple[Letter, ...]
    next_after: str | None


class Letters:
    def __init__(self, letters: DeadLetters, keys: KeyStore) -> None:
        self._letters = letters
        self._keys = keys

    def page(self, wanted: LettersWanted) -> LettersPage:
        """Open letters by key. What was erased a moment ago is left out even while its letter still stands."""
        found = self._letters.letters(replace(wanted, limit=wanted.limit + 1))
        page = found[: wanted.limit]
        alive = tuple(one for one in page if one.image_id is None or not self._keys.is_erased(one.image_id))
        return LettersPage(alive, page[-1].key if len(found) > wanted.limit else None)
