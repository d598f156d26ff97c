"""A clock that moves only when told to."""

import threading

from mayfly.model.instant import Ms


class ManualClock:
    """Time by hand. `move` and `set` turn wall time, either way; `hold` is a jump nobody confirmed yet."""

    def __init__(self, start: Ms) -> None:
        self._lock = threading.Lock()
        self._wall = start
        self._latest = start
        self._persisted = Ms(0)
        self._held = False

    def now(self) -> Ms:
        with self._lock:
            return self._look()

    def held(self) -> bool:
        with self._lock:
            return self._held

    def confirm(self) -> None:
        with self._lock:
            self._held = False

    def tick(self) -> None:
        with self._lock:
            if not self._held:
                self._persisted = self._look()

    def move(self, ms: int) -> None:
        with self._lock:
            self._wall = Ms(self._wall + ms)

    def set(self, instant: Ms) -> None:
        with self._lock:
            self._wall = instant

    def hold(self) -> None:
        with self._lock:
            self._held = True

    def restart(self) -> None:
        """As a process that starts anew: what was returned is forgotten, the last tick is not."""
        with self._lock:
            self._latest = self._persisted

    def _look(self) -> Ms:
        instant = max(self._latest, self._wall)
        if not self._held:
            # What a held clock says is not believed yet: wall time set right takes it back.
            self._latest = instant
        return instant
