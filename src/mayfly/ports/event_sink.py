"""Somebody outside who wants to be told: a webhook, a topic, a bus. Told at least once, in order for each image.

One call tells one event; order and repetition are the caller's business. Whoever receives knows a repetition by
`Event.key`, which every adapter sends along.
"""

from typing import Protocol

from mayfly.model.event import Event


class EventSink(Protocol):
    def deliver(self, event: Event) -> None:
        """Tell it; return once the receiver has taken it. Called by several threads at once, never by two for one
        image. Ends within a bounded time, whatever the receiver does.

        Raises:
            Unavailable: not now; the receiver may or may not have it. `Postponed` where it said when to come back.
            Refused: the receiver has it in hand and will not take it.
        """
        ...

    def close(self) -> None:
        """Let go of connections. Nothing is delivered afterwards."""
        ...
