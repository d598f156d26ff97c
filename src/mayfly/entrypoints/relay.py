"""The relay: tells the sinks what happened. At least once, in order for each image, never in an image's way.

A sink has a window that slides over the log: events in it are delivered by a few lanes, one image's one after another.
The sink's cursor follows what is done, durably. After a crash it goes on from there, so that what was done beyond it
is delivered again under the same key.
"""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from mayfly.entrypoints.ending import ended_within
from mayfly.entrypoints.relay_window import MOST_AHEAD, WINDOW, Pending, Window
from mayfly.model.errors import Postponed, Refused, StorageFull, Unavailable
from mayfly.model.event import Event
from mayfly.model.instant import SECOND
from mayfly.model.journal import Journal
from mayfly.model.lifecycle import State
from mayfly.ports.clock import Clock
from mayfly.ports.event_log import KEPT_MS, EventLog
from mayfly.ports.event_sink import EventSink

LANES = 4
"""Deliveries at once, for each sink."""
_LANES_MAY_TAKE = 0.5
"""Seconds at a stop."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """A sink by its name, and the states it is told of."""

    name: str
    sink: EventSink
    states: frozenset[State]


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, unless they say otherwise."""

    first_backoff: float = 1.0
    longest_backoff: float = 60.0
    longest_postponed: float = 300.0
    """So much of a receiver's Retry-After is believed."""
    refusals: int = 3
    """How many attempts an event gets that the receiver will not take."""
    stubborn: int = 8
    """How often an event may fail while others are taken: then it is the event, not the receiver."""
    remember: float = 1.0
    """The cursor is written at least this often while there is something to write."""
    look: float = 0.25
    away: float = 5.0
    """From so long an absence on, a receiver that is back gets at once what waits for it."""


class _Line:
    """One sink: a thread that reads the log and remembers, and the lanes that deliver."""

    def __init__(
        self, outlet: Outlet, log: EventLog, clock: Clock, journal: Journal, stopping: threading.Event, pace: Pace
    ) -> None:
        self._outlet = outlet
        self._log = log
        self._clock = clock
        self._journal = journal
        self._stopping = stopping
        self._pace = pace
        self._window = Window()
        self._remembered: int | None = None
        self._remembered_at = 0.0

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._begin()
                self._fill()
                self._remember()
                self._rest()
            except StorageFull:
                self._stopping.wait(self._pace.remember)  # the cursor waits; at worst more is delivered twice
            except Exception as fault:
                self._tell("relay_fault", reason=f"{type(fault).__name__}: {fault}")
                self._stopping.wait(self._pace.first_backoff)
        self._last_word()

    def lane(self) -> None:
        window = self._window
        while True:
            with window.changed:
                while not self._stopping.is_set():
                    pending, wait = window.next_due()
                    if pending is not None:
                        break
                    window.changed.wait(min(wait, 60.0))
                else:
                    return
                window.busy.add(pending.event.image_id)
            try:
                self._attempt(pending)
            except Exception as fault:
                # A defect of the sink, a clock that cannot be read: neither the lane ends by it nor the image's turn.
                self._later(pending, fault)
            finally:
                with window.changed:
                    window.busy.discard(pending.event.image_id)
                    window.changed.notify_all()

    def wake(self) -> None:
        with self._window.changed:
            self._window.changed.notify_all()

    def _begin(self) -> None:
        """Where it was; a sink that is new hears what happens from now on."""
        if self._remembered is not None:
            return
        name = self._outlet.name
        cursor = self._log.cursor(name)
        if cursor is None:
            cursor = self._log.newest()
            self._log.advance(name, cursor)
        self._window.read = self._remembered = cursor

    def _fill(self) -> None:
        window = self._window
        with window.changed:
            room, read = window.room, window.read
            if len(window.ahead) >= MOST_AHEAD:
                self._drop_the_stubborn()
        if not room:
            return
        page = self._log.after(read, room)
        if page and page[0].sequence > read + 1 and (oldest := self._log.oldest()) > read + 1:
            self._tell("events_lost", sequence=oldest - 1)
        with window.changed:
            for event in page:
                window.read = event.sequence
                if event.state in self._outlet.states:
                    window.open[event.sequence] = Pending(event)
            window.changed.notify_all()

    def _remember(self) -> None:
        """One durable write for many events, or for the last of them."""
        with self._window.changed:
            done, idle = self._window.done, not self._window.open
        assert self._remembered is not None
        behind, since = done - self._remembered, time.monotonic() - self._remembered_at
        if behind >= WINDOW or (behind and (idle or since >= self._pace.remember)):
            self._log.advance(self._outlet.name, done)
            self._remembered, self._remembered_at = done, time.monotonic()

    def _rest(self) -> None:
        window = self._window
        with window.changed:
            if window.open:
                window.changed.wait(self._pace.look)
                return
        self._log.wait(window.read, self._pace.look)

    def _last_word(self) -> None:
        try:
            with self._window.changed:
                done = self._window.done
            if self._remembered is not None and done > self._remembered:
                self._log.advance(self._outlet.name, done)
        except Unavailable:
            return  # what was done since is delivered again, under the same key

    def _attempt(self, pending: Pending) -> None:
        event = pending.event
        if self._too_old(event):
            self._drop(pending, "older than a day")
            return
        try:
            self._outlet.sink.deliver(event)
        except Postponed as fault:
            self._later(pending, fault, min(fault.seconds, self._pace.longest_postponed))
        except Unavailable as fault:
            self._later(pending, fault)
        except Refused as fault:
            pending.refusals += 1
            if pending.refusals >= self._pace.refusals:
                self._drop(pending, str(fault))
            else:
                self._back_off(pending)
        else:
            self._taken(pending)

    def _too_old(self, event: Event) -> bool:
        # The instant first, then whether it is believed.
        now = self._clock.now()
        return not self._clock.held() and now - event.at > KEPT_MS

    def _taken(self, pending: Pending) -> None:
        window = self._window
        with window.changed:
            window.settled(pending, taken=True)
            down_since, window.down_since = window.down_since, None
            if down_since is not None and time.monotonic() - down_since >= self._pace.away:
                # It is there again: nobody waits out a backoff that was meant for its absence.
                for other in window.open.values():
                    other.due = 0.0
        self._tell("event_delivered", seconds=(self._clock.now() - pending.event.at) / SECOND)
        if down_since is not None:
            self._tell("sink_back")

    def _later(self, pending: Pending, fault: Exception, postponed: float | None = None) -> None:
        window = self._window
        with window.changed:
            told = window.down_since is not None or self._stopping.is_set()
            window.down_since = window.down_since or time.monotonic()
            if postponed is not None:
                window.not_before = max(window.not_before, time.monotonic() + postponed)
        self._back_off(pending)
        if not told:
            told_as = str(fault) if isinstance(fault, Unavailable) else f"{type(fault).__name__}: {fault}"
            self._tell("sink_waits", reason=told_as)

    def _back_off(self, pending: Pending) -> None:
        self._tell("event_retried")
        longest = min(self._pace.first_backoff * 2.0 ** min(pending.failures, 30), self._pace.longest_backoff)
        with self._window.changed:
            pending.failures += 1
            # Jitter, so that what failed together does not come back together.
            pending.due = time.monotonic() + longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def _drop(self, pending: Pending, reason: str) -> None:
        with self._window.changed:
            self._window.settled(pending, taken=False)
        self._tell_dropped(pending.event, reason)

    def _drop_the_stubborn(self) -> None:
        """So many later ones were taken: it is not the receiver that is away."""
        first = next(iter(self._window.open.values()), None)
        idle = first is not None and first.event.image_id not in self._window.busy
        if first is not None and idle and first.failures >= self._pace.stubborn:
            self._window.settled(first, taken=False)
            self._tell_dropped(first.event, f"it failed {first.failures} times while others were taken")

    def _tell_dropped(self, event: Event, reason: str) -> None:
        self._tell("event_dropped", image=str(event.image_id), sequence=event.sequence, reason=reason)

    def _tell(self, what: str, **fields: object) -> None:
        self._journal(what, sink=self._outlet.name, **fields)


class Relay:
    """All sinks, each on its own: one that is down keeps no other waiting."""

    def __init__(
        self, outlets: Sequence[Outlet], log: EventLog, clock: Clock, journal: Journal, pace: Pace | None = None
    ) -> None:
        self._outlets = outlets
        self._stopping = threading.Event()
        self._lines = [_Line(outlet, log, clock, journal, self._stopping, pace or Pace()) for outlet in outlets]
        self._readers = [
            threading.Thread(target=line.run, name=f"relay-{outlet.name}", daemon=True)
            for outlet, line in zip(outlets, self._lines, strict=True)
        ]
        self._lanes = [
            threading.Thread(target=line.lane, name=f"lane-{outlet.name}", daemon=True)
            for outlet, line in zip(outlets, self._lines, strict=True)
            for _ in range(LANES)
        ]

    def start(self) -> None:
        for thread in (*self._readers, *self._lanes):
            thread.start()

    def begin_stop(self) -> None:
        """Deliver nothing more."""
        self._stopping.set()
        for line in self._lines:
            line.wake()

    def stop(self, timeout_seconds: float) -> bool:
        """`begin_stop`, and wait so long at most until it is remembered how far each sink was served; whether it is.

        What is on its way is hardly waited for: it touches nothing of ours, and comes again at the next start."""
        self.begin_stop()
        ended = ended_within(self._readers, timeout_seconds)
        if ended_within(self._lanes, min(timeout_seconds, _LANES_MAY_TAKE)):
            for outlet in self._outlets:
                outlet.sink.close()
        return ended
