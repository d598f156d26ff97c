"""What happened, in order. Events enter with the write that they tell of: `MetadataStore` writes both in one atomic
step (`admit`, `fulfil`, `settle`, `reopen`, `delete`, `lapse`, `purge`), so that none is told of what did not happen.

Whoever reads remembers how far it came, as a sequence: sequences ascend in the order of the writes, begin at 1, may
leave gaps, and are never used again, after a trim or a restart either.
"""

from typing import Protocol

from mayfly.model.event import Event
from mayfly.model.instant import MINUTE, Ms

KEPT_MS = 24 * 60 * MINUTE
"""How long an event is kept: over night, for whoever was away. Longer, and ids of the dead would outlive many lives."""

LARGEST_PAGE = 500


class EventLog(Protocol):
    def after(self, sequence: int, limit: int = LARGEST_PAGE) -> list[Event]:
        """Up to `limit` events that came after that one, in order."""
        ...

    def oldest(self) -> int:
        """The sequence of the oldest event that is kept; one more than `newest()` if none is."""
        ...

    def newest(self) -> int:
        """The sequence of the newest event there ever was; 0 if there was none."""
        ...

    def wait(self, sequence: int, seconds: float) -> bool:
        """Wait until an event came after that one, so long at most; whether one did. The write that tells it wakes
        the waiting."""
        ...

    def cursor(self, sink: str) -> int | None:
        """The sequence through which this sink was served, durably; None: it has not begun."""
        ...

    def advance(self, sink: str, sequence: int) -> None:
        """Remember durably that the sink was served through that sequence.

        Raises:
            StorageFull: it is not remembered.
        """
        ...

    def trim(self, before: Ms) -> int:
        """Remove what happened before that instant, on a full disk too; how many events."""
        ...
