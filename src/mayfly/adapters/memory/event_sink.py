"""A receiver in memory, which takes what it is told as long as it is told to."""

import threading

from mayfly.model.errors import MayflyError, Unavailable
from mayfly.model.event import Event


class MemoryEventSink:
    """Implements `ports.event_sink.EventSink`. `taken` are the deliveries, repetitions included; `fault`, where set,
    is raised instead."""

    def __init__(self) -> None:
        self.taken: list[Event] = []
        self.fault: MayflyError | None = None
        self._lock = threading.Lock()
        self._closed = False

    def deliver(self, event: Event) -> None:
        with self._lock:
            if self._closed:
                raise Unavailable("the sink is closed")
            if self.fault is not None:
                raise self.fault
            self.taken.append(event)

    def close(self) -> None:
        with self._lock:
            self._closed = True
