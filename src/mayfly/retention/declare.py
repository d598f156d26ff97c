"""The retentions of the settings, declared into the history from which every id of a stream is made."""

from collections.abc import Mapping

from mayfly.model.errors import ClockHeld, StorageFull
from mayfly.model.image import Source
from mayfly.model.journal import Journal
from mayfly.model.retention import History, Retention
from mayfly.ports.clock import Clock
from mayfly.ports.retention_history import RetentionHistory


class Retentions:
    """What the settings say is in force, by source."""

    def __init__(
        self, history: RetentionHistory, in_force: Mapping[Source, Retention], clock: Clock, journal: Journal
    ) -> None:
        self._history = history
        self._in_force = in_force
        self._clock = clock
        self._journal = journal

    def of(self, source: Source) -> History:
        """The history, whose last entry is what the settings say.

        Raises:
            ClockHeld: a change cannot be dated by a time that nobody believes.
            StorageFull: there is no room to remember a change.
        """
        now = self._clock.now()
        if self._clock.held():
            raise ClockHeld("wall time jumped and nobody confirmed it yet: no retention is declared meanwhile")
        return self._history.declare(source, self._in_force[source], now)

    def declare(self) -> None:
        """Declare all of them, as an owner does that starts. One that cannot be is told, and declared when it is asked
        for: a start waits for no disk."""
        for source in self._in_force:
            try:
                self.of(source)
            except (ClockHeld, StorageFull) as fault:
                self._journal("retention_undeclared", source=source, reason=str(fault))
