"""The scheduler: ticks the clock, sweeps at the end of each minute, makes keys ahead, trims the events, reconciles by
the hour.

Two threads: a reconcile looks at everything that lives and may take its time, a sweep may not wait for it.
"""

import threading
from collections.abc import Callable

from mayfly.entrypoints.ending import ended_within
from mayfly.model.errors import MayflyError, StorageFull
from mayfly.model.instant import MINUTE, Minute, Ms, last_ended, minute_of, week_of
from mayfly.model.journal import Journal
from mayfly.model.retention import LONGEST_MINUTES
from mayfly.ports.clock import GuardedClock
from mayfly.ports.event_log import KEPT_MS, EventLog
from mayfly.ports.key_store import KeyStore
from mayfly.retention.reconcile import Reconcile
from mayfly.retention.sweep import Sweep

_LOOK_EVERY = 0.25
"""Seconds. Not a timer to the minute's end: a clock that is moved has to be noticed."""

_TICK_EVERY = 5_000
_RETRY_EVERY = 5_000
_RECONCILE_EVERY = 60 * MINUTE
_TRIM_EVERY = 10 * MINUTE

_MADE_AHEAD = 60
"""Minutes beyond the longest life for which keys are made: so long may a sweep take before an upload has to wait."""


class Scheduler:
    """`told` hears of each sweep that left nothing behind; the first makes the server ready."""

    def __init__(
        self,
        clock: GuardedClock,
        keys: KeyStore,
        sweep: Sweep,
        reconcile: Reconcile,
        events: EventLog,
        told: Callable[[Ms], None],
        journal: Journal,
    ) -> None:
        self._clock = clock
        self._keys = keys
        self._sweep = sweep
        self._reconcile = reconcile
        self._events = events
        self._told = told
        self._journal = journal
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, args=(self.round,), name="scheduler", daemon=True),
            threading.Thread(target=self._loop, args=(self.look_around,), name="reconcile", daemon=True),
        ]
        self._swept_through: Minute | None = None
        self._retry_at: Ms | None = None
        self._ticked_at: Ms | None = None
        self._reconciled_at: Ms | None = None
        self._trimmed_at: Ms | None = None
        self._held = False

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def begin_stop(self) -> None:
        """Begin nothing more: a purge under way ends with its minute. Returns at once."""
        self._stopping.set()

    def stop(self, timeout_seconds: float) -> bool:
        """`begin_stop`, and wait so long at most. Whether both threads have ended. Harmless before `start`."""
        self.begin_stop()
        return ended_within(self._threads, timeout_seconds)

    def round(self) -> None:
        """Whatever is to be done now. Cheap when nothing is."""
        # The instant first, then whether it is believed: a jump between the two is noticed.
        now = self._clock.now()
        if self._clock.held():
            if not self._held:
                self._journal("clock_held")
            self._held = True
            self._swept_through = self._retry_at = self._ticked_at = None
            return
        self._held = False
        if self._ticked_at is None or now - self._ticked_at >= _TICK_EVERY:
            self._clock.tick()
            self._ticked_at = now
        if self._sweep_is_due(now):
            # Keys first: a long sweep keeps no upload waiting. Where their slots are still taken, after it.
            made = self._make_keys(now)
            clean = self._sweep_now(now)
            if (made or self._make_keys(now)) and clean:
                self._told(self._clock.now())
        if self._trimmed_at is None or now - self._trimmed_at >= _TRIM_EVERY:
            self._trimmed_at = now
            self._events.trim(Ms(now - KEPT_MS))

    def look_around(self) -> None:
        """Reconcile, if it is time and nothing due is left for the sweep."""
        now = self._clock.now()
        due = self._reconciled_at is None or now - self._reconciled_at >= _RECONCILE_EVERY
        if due and self._swept_through is not None and not self._clock.held():
            self._reconcile.run(self._stopping.is_set)
            self._reconciled_at = now

    def _sweep_is_due(self, now: Ms) -> bool:
        return self._swept_through != last_ended(now) or (self._retry_at is not None and now >= self._retry_at)

    def _sweep_now(self, now: Ms) -> bool:
        """Whether nothing that was due is left."""
        # Should it fail, it is not tried again at every look.
        self._swept_through, self._retry_at = last_ended(now), Ms(now + _RETRY_EVERY)
        run = self._sweep.run(self._stopping.is_set)
        if run.unverified or run.cut_short:
            return False
        self._retry_at = None
        return True

    def _make_keys(self, now: Ms) -> bool:
        """Whether every key that an image born in the next hour may need is there."""
        current = minute_of(now)
        try:
            self._keys.provide(current, Minute(current + LONGEST_MINUTES + _MADE_AHEAD))
            self._keys.turn_weeks(week_of(now))
        except StorageFull as fault:
            self._journal("keys_delayed", reason=str(fault))
            return False
        return True

    def _loop(self, task: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                task()
            except MayflyError as fault:
                self._journal("round_failed", reason=str(fault))
            except Exception as fault:
                self._journal("scheduler_fault", reason=f"{type(fault).__name__}: {fault}")
            self._stopping.wait(_LOOK_EVERY)
