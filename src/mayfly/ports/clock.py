"""The clock: what time it is, and whether that time may be trusted to destroy by."""

from typing import Protocol

from mayfly.model.instant import Ms


class Clock(Protocol):
    def now(self) -> Ms:
        """The present instant. Never goes below the last persisted tick, nor below what it returned while not held.

        While held, the suspected time: a jump that is set right again leaves no trace.
        """
        ...

    def held(self) -> bool:
        """True while wall time has jumped and nobody confirmed it.

        Due images are then not served (by `now`), but nothing is destroyed and nothing is taken in.
        """
        ...


class GuardedClock(Clock, Protocol):
    """The owner's: whose time is persisted, and confirmed after a jump."""

    def confirm(self) -> None:
        """An operator says that the time is right: the hold ends. Without a hold, nothing happens."""
        ...

    def tick(self) -> None:
        """Persist the present instant. A held clock persists nothing: the jump is not believed yet."""
        ...
