"""What of the log is under way to one sink: a window that slides, and in it each image's events one after another."""

import threading
import time
from dataclasses import dataclass, field

from mayfly.model.event import Event
from mayfly.model.identity import ImageId

WINDOW = 32
"""Events under way at once, for each sink."""
MOST_AHEAD = 256
"""How many may be taken beyond one that is not: so many a crash repeats at most, beside the window."""


@dataclass(slots=True)
class Pending:
    """An event under way. `due` is by the monotonic clock, in seconds."""

    event: Event
    due: float = 0.0
    failures: int = 0
    refusals: int = 0


@dataclass(slots=True)
class Window:
    """What is under way. Touched under `changed` alone."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    open: dict[int, Pending] = field(default_factory=dict)
    busy: set[ImageId] = field(default_factory=set)
    ahead: list[int] = field(default_factory=list)
    """The sequences taken beyond the first that is still open."""
    read: int = 0
    not_before: float = 0.0
    down_since: float | None = None

    @property
    def done(self) -> int:
        """The sequence through which everything is settled."""
        return next(iter(self.open)) - 1 if self.open else self.read

    @property
    def room(self) -> int:
        return 0 if len(self.ahead) >= MOST_AHEAD else WINDOW - len(self.open)

    def next_due(self) -> tuple[Pending | None, float]:
        """The first that may be delivered now, or how long until one may be: of each image only its first."""
        now, soonest = time.monotonic(), float("inf")
        seen = set(self.busy)
        for pending in self.open.values():
            if pending.event.image_id not in seen:
                seen.add(pending.event.image_id)
                soonest = min(soonest, max(pending.due, self.not_before))
                if soonest <= now:
                    return pending, 0.0
        return None, soonest - now

    def settled(self, pending: Pending, *, taken: bool) -> None:
        self.open.pop(pending.event.sequence, None)
        if taken:
            self.ahead.append(pending.event.sequence)
        self.ahead = [sequence for sequence in self.ahead if sequence > self.done] if self.open else []
