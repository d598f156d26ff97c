"""The system's clock, guarded against jumps, and movable by a file for tests and demonstrations.

A clock that jumps ahead would destroy what is not due, so a jump is believed only when an operator confirms it:
while running, wall time may not outrun boot time (which counts suspended hours) by more than five minutes, counted
from the start, the last confirmation or the last trusted move; at a
start, it may not lie over an hour past the last tick if the kernel itself says that the clock is unsynchronised.
"""

import ctypes
import os
import re
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from mayfly.adapters.local.durable import sync_data, sync_folder
from mayfly.model.errors import Misconfigured
from mayfly.model.instant import MINUTE, Ms

LARGEST_DRIFT = 5 * MINUTE
LARGEST_GAP = 60 * MINUTE
_FURTHEST = 400 * 365 * 86_400

_TICK = struct.Struct("<8sQ")
_MAGIC = b"MAYFLYTK"
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MOVE = re.compile(r"([+-]?\d{1,12}(?:\.\d{1,9})?)\s*([smhdw]?)", re.ASCII)
_TIME_ERROR = 5
_UNSYNCHRONISED = 0x40
_TIMEX_BYTES = 512


class SystemClock:
    """Implements `ports.clock.Clock` over `DATA/clock.tick`, sixteen bytes overwritten in place."""

    def __init__(
        self,
        tick_file: Path,
        moved_by: Path | None = None,
        synchronised: Callable[[], bool] | None = None,
    ) -> None:
        """`moved_by` is a file with an offset, read anew at every look (see `read_move`)."""
        self._lock = threading.Lock()
        self._moved_by = moved_by
        self._descriptor = os.open(tick_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._floor = self._last_tick()
        if self._floor is None:
            os.pwrite(self._descriptor, _TICK.pack(_MAGIC, 0), 0)
            os.fsync(self._descriptor)
            sync_folder(tick_file.parent)
        wall, trusted = self._wall()
        self._lead = wall - _boot_ms()
        if self._floor is not None and wall - self._floor > LARGEST_GAP and not trusted:
            is_synchronised = synchronised or kernel_says_synchronised
            if moved_by or not is_synchronised():
                # Believe the last tick instead: wall time now outruns it, and is held until confirmed or set right.
                self._lead = self._floor - _boot_ms()
        self._latest = self._floor or 0
        self._held = False

    def now(self) -> Ms:
        with self._lock:
            return self._look()

    def held(self) -> bool:
        with self._lock:
            self._look()
            return self._held

    def confirm(self) -> None:
        with self._lock:
            self._look()
            if self._held:
                self._lead = self._wall()[0] - _boot_ms()
                self._look()

    def tick(self) -> None:
        with self._lock:
            now = self._look()
            if self._held:
                return
            os.pwrite(self._descriptor, _TICK.pack(_MAGIC, now), 0)
            sync_data(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

    def _look(self) -> Ms:
        wall, trusted = self._wall()
        lead = wall - _boot_ms()
        self._held = not trusted and lead - self._lead > LARGEST_DRIFT
        if self._held:
            return Ms(max(self._latest, wall))
        if trusted:
            # Moved on purpose: what counts is how far it runs ahead from here on.
            self._lead = lead
        # A step back does not lower the believed line, or setting it right again would look like a jump: up to that
        # line boot time itself vouches for the wall. Whether it was a mistake or is for good, `now` stands still until
        # the wall has caught up, then follows it; the next start believes the lower line. Until then a jump back up
        # to the line is not held: it destroys nothing that would not be due had the clock never been set back. A slew
        # needs no care, for the kernel slews boot time along.
        self._latest = max(self._latest, wall)
        return Ms(self._latest)

    def _wall(self) -> tuple[int, bool]:
        """Wall time with the file's move, and whether that move was said to be trusted."""
        seconds, trusted = read_move(self._moved_by) if self._moved_by else (0.0, False)
        return time.time_ns() // 1_000_000 + round(seconds * 1_000), trusted

    def _last_tick(self) -> int | None:
        stored = os.pread(self._descriptor, _TICK.size, 0)
        if len(stored) < _TICK.size:
            return None
        magic, instant = _TICK.unpack(stored)
        if magic != _MAGIC:
            raise Misconfigured("clock.tick in the data folder is damaged; restore the folder, or start with a new one")
        # Nought is what the file is made with: a start that ended before its first tick left no instant behind.
        return int(instant) or None


def read_move(path: Path) -> tuple[float, bool]:
    """The offset in seconds that a clock file holds, and whether it is trusted.

    The file's text is an offset from the real time: `+604800`, `90.5`, `7d`, `-2h` (units s, m, h, d, w; seconds
    without). A second word `untrusted` makes the move a jump that has to be confirmed. A missing or empty file is
    no offset.

    Raises:
        Misconfigured: the text is none of these.
    """
    try:
        words = path.read_text(encoding="utf-8", errors="replace").split()
    except FileNotFoundError:
        return 0.0, True
    except OSError as fault:
        raise Misconfigured(f"{path}: the clock file cannot be read: {fault.strerror}") from None
    if not words:
        return 0.0, True
    match = _MOVE.fullmatch(words[0])
    if match is None or words[1:] not in ([], ["untrusted"]):
        raise Misconfigured(
            f"{path}: a clock file holds an offset such as +604800 or 7d, and maybe the word untrusted; "
            f"got {' '.join(words)[:60]!r}"
        )
    seconds = float(match[1]) * _UNITS[match[2] or "s"]
    if abs(seconds) > _FURTHEST:
        raise Misconfigured(f"{path}: an offset lies within 400 years")
    return seconds, len(words) == 1


def _boot_ms() -> int:
    """Milliseconds since boot, suspended time included (macOS: its monotonic clock counts it already)."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000_000


def kernel_says_synchronised() -> bool:
    """False only where the kernel knows its clock to be unsynchronised (adjtimex(2), STA_UNSYNC)."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return True
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = adjtimex(timex)
    # struct timex: modes (int, padded), offset, freq, maxerror, esterror (long each), status (int).
    status = struct.unpack_from("@iqqqqi", timex.raw)[5]
    return not (state == _TIME_ERROR and status & _UNSYNCHRONISED)
