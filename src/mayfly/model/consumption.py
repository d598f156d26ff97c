"""What a consumer of a stream has to tell about itself: figures, nothing about any image."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mayfly.model.stream import Partition


@dataclass(frozen=True, slots=True)
class PartitionFigures:
    """One partition that is held. None: not known yet, or there is nothing to tell it of."""

    partition: Partition
    lag: int | None
    """Messages that the group has not done with."""
    lag_seconds: float | None
    """How long the oldest of these has waited, by its timestamp; no less than that while it was not read yet."""
    oldest_age_seconds: float | None
    """The age of the oldest record that the topic still holds: a hidden copy lives so long."""


@dataclass(frozen=True, slots=True)
class ConsumerFigures:
    """A snapshot. Counters count from the consumer's start."""

    consumer: str
    """`HOST-PID`."""
    partitions: tuple[PartitionFigures, ...] = ()
    bytes_in_flight: int = 0
    records_in_flight: int = 0
    records: Mapping[str, int] = field(default_factory=dict)
    """How many came to each end: `created`, `found` (it was here already), `due`, `erased`, `buried`."""
    bytes: int = 0
    """Of all these records."""
    retries: int = 0
    rebalances: int = 0
    letters: int = 0
    """Written to the dead-letter topic."""
    trimmed: int = 0
    """Times that records were deleted from the topic."""
