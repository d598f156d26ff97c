"""Which retention was in force when, for each source: an append-only history.

An image's retention is the one in force at its birth, so that a replay after a change of the setting computes the
same id, and so the same death.
"""

from typing import Protocol

from mayfly.model.image import Source
from mayfly.model.instant import Ms
from mayfly.model.retention import History, Retention


class RetentionHistory(Protocol):
    def of(self, source: Source) -> History:
        """The history of a source; empty before the first `declare`."""
        ...

    def declare(self, source: Source, retention: Retention, now: Ms) -> History:
        """From `now` on this retention is in force for the source: appended, durably, unless it is already. The first
        one counts for everything that was born before, too. An instant not after the last change's counts as the
        millisecond after it. Returns the history as it stands.

        Raises:
            StorageFull: nothing was appended.
        """
        ...
