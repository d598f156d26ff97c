"""Which records may be taken at once, and which one after another.

Records that share a key (one CloudEvents identity, or the same place in the topic read twice) are taken one at a
time, in the order in which they came; all others side by side.
"""

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class Lanes(Generic[Item]):
    """Used under its holder's lock."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[Item]] = {}
        self._keys: dict[Item, tuple[Hashable, ...]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._queues

    def add(self, item: Item, keys: Iterable[Hashable]) -> bool:
        """It came. Whether it may be taken at once; if not, some later `remove` returns it."""
        self._keys[item] = tuple(keys)
        for key in self._keys[item]:
            self._queues.setdefault(key, deque()).append(item)
        return self._first(item)

    def remove(self, item: Item) -> list[Item]:
        """It is done with, or given up. Which others may be taken now."""
        heads = []
        for key in self._keys.pop(item):
            queue = self._queues[key]
            was_first = queue[0] is item
            queue.remove(item)
            if not queue:
                del self._queues[key]
            elif was_first and queue[0] not in heads:
                heads.append(queue[0])
        return [head for head in heads if self._first(head)]

    def _first(self, item: Item) -> bool:
        # No two can wait for each other: all queues take items in one order.
        return all(self._queues[key][0] is item for key in self._keys[item])
