"""The owner's clock, as its answers tell it."""

import threading

from mayfly.adapters.owner.line import OwnerLine
from mayfly.model.errors import Unavailable
from mayfly.model.instant import Ms


class OwnerClock:
    """Implements `ports.clock.Clock`: what the owner said last, and what has passed since; at most a second old while
    the owner answers."""

    def __init__(self, line: OwnerLine) -> None:
        self._told = line.told
        self._lock = threading.Lock()
        self._latest = Ms(0)

    def now(self) -> Ms:
        """As the port has it.

        Raises:
            Unavailable: the owner has not said it yet.
        """
        told = self._told.now()
        if told is None:
            raise Unavailable("the owner has not told the time yet")
        with self._lock:
            instant = max(told, self._latest)
            if not self._told.held:
                self._latest = instant
            return instant

    def held(self) -> bool:
        return self._told.held
