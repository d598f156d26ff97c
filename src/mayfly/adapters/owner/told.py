"""What the owner said of the time, and when."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from mayfly.model.instant import SECOND, Ms


def boot_seconds() -> float:
    """Seconds since the boot, those of a suspended machine too where the system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class _Said:
    now: Ms
    held: bool
    at: float


class Told:
    """The owner's time: what it said last, and what has passed since."""

    def __init__(self, boot: Callable[[], float] = boot_seconds) -> None:
        self._boot = boot
        self._said: _Said | None = None

    def heard(self, now: int, held: bool) -> None:
        self._said = _Said(Ms(now), held, self._boot())

    def now(self) -> Ms | None:
        """None: nothing was said yet."""
        said = self._said
        return None if said is None else Ms(said.now + int((self._boot() - said.at) * SECOND))

    @property
    def held(self) -> bool:
        return self._said is not None and self._said.held
