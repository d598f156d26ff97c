"""What steps of the user's own found out about one image: bounded, and kept apart by what becomes of it."""

import json
import math
from collections.abc import Mapping
from typing import Any

from mayfly.model.errors import AttemptFailed

MOST_BYTES = 64 * 1024
"""Of one kind of facts, of all steps of one image, as JSON."""
MOST_KEYS = 1_000
DEEPEST = 8
"""Objects and lists within one another."""

Found = Mapping[str, Mapping[str, Any]]
"""Facts by rendition."""


class StepFacts:
    """Collects what is declared as `fact`, and what is `personal`; anything else is dropped."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, dict[str, Any]]] = {"fact": {}, "personal": {}}

    def add(self, rendition: str, kind: str, facts: Mapping[str, Any] | None) -> None:
        """Where two steps of one recipe say something under one name, the later one is right.

        Raises:
            AttemptFailed: `step-facts-too-large`, or `step-facts-invalid` for what JSON cannot say: a number that is
                none, a text that is no Unicode.
        """
        if not facts or kind not in self._kinds:
            return
        kept = self._kinds[kind]
        kept[rendition] = {**kept.get(rendition, {}), **facts}
        _check(kept)

    @property
    def has_personal(self) -> bool:
        return bool(self._kinds["personal"])

    def facts(self, before: Found, remade: set[str]) -> Found:
        """Those declared as `fact`; of `before`, what was found for renditions that were not `remade`."""
        return _merged(before, self._kinds["fact"], remade)

    def personal(self, before: Found, remade: set[str]) -> Found:
        return _merged(before, self._kinds["personal"], remade)


def _merged(before: Found, found: Found, remade: set[str]) -> Found:
    merged = {name: facts for name, facts in before.items() if name not in remade} | dict(found)
    _check(merged)
    return merged


def _check(facts: Found) -> None:
    keys, waiting = 0, [(1, value) for value in facts.values()]
    while waiting:
        depth, value = waiting.pop()
        inner: list[Any] = []
        if isinstance(value, Mapping):
            keys += len(value)
            inner = [*value.keys(), *value.values()]
        elif isinstance(value, list):
            inner = value
        elif isinstance(value, float) and not math.isfinite(value):
            raise AttemptFailed("step-facts-invalid")
        if keys > MOST_KEYS or depth > DEEPEST + 1:
            raise AttemptFailed("step-facts-too-large")
        waiting += [(depth + 1, one) for one in inner]
    try:
        size = len(json.dumps(facts, ensure_ascii=False).encode())
    except ValueError:  # a lone surrogate; an integer too long to be written
        raise AttemptFailed("step-facts-invalid") from None
    if size > MOST_BYTES:
        raise AttemptFailed("step-facts-too-large")
