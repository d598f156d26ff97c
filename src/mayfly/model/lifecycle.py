"""The states of an image and the moves between them."""

from enum import StrEnum


class State(StrEnum):
    AWAITED = "awaited"
    """An upload form was issued; no byte has come."""
    RECEIVED = "received"
    """The original, its record and its job are durable; nobody works on it."""
    PROCESSING = "processing"
    """A worker holds the lease."""
    PROCESSED = "processed"
    """Renditions and facts are there."""
    FAILED = "failed"
    """We are at fault, or a step is; the attempts are spent."""
    REJECTED = "rejected"
    """The image is at fault, and only decoding could tell; not retried."""
    PURGED = "purged"
    """Every copy is gone. Purged images have no record, so no record carries this state."""


MOVES: dict[State, frozenset[State]] = {
    State.AWAITED: frozenset({State.RECEIVED, State.PURGED}),
    State.RECEIVED: frozenset({State.PROCESSING, State.PURGED}),
    State.PROCESSING: frozenset(
        # Back to `received`: the lease was lost or given back, or the attempt failed and more are left.
        {State.PROCESSED, State.FAILED, State.REJECTED, State.RECEIVED, State.PURGED}
    ),
    State.PROCESSED: frozenset({State.RECEIVED, State.PURGED}),  # reprocess; renditions stay readable meanwhile
    State.FAILED: frozenset({State.RECEIVED, State.PURGED}),  # retry
    State.REJECTED: frozenset({State.RECEIVED, State.PURGED}),  # redrive, while its bytes are kept
    State.PURGED: frozenset(),
}


def may_move(origin: State, target: State) -> bool:
    return target in MOVES[origin]
