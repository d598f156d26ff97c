"""A stream of images, in partitions that several consumers share: Kafka, or what stands in for it.

Each partition belongs to one consumer of a group at a time. The broker may take it away at any moment and give it to
another, and back. Each time a partition comes, it comes under a new `tenure`, a number that only ascends; it is not
paused, and reading begins at the group's committed offset, or at the oldest record if the group has none. What was
read under an older tenure may be finished (it is idempotent), but settles nothing any more.

One thread polls, pauses, resumes, settles and closes. `bury`, `survey` and `trim` may be called by any thread.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from mayfly.model.stream import Letter, Partition, StreamRecord, Survey


class ImageStream(Protocol):
    def poll(self, seconds: float) -> StreamRecord | None:
        """The next record of a partition that is held and not paused, in order within its partition; None if none came
        in that time. Membership lasts as long as this is called often, whether or not anything is paused.

        A connection that is lost, and a consumer that the broker fenced for good, are made anew within; partitions
        then come back under new tenures.

        Raises:
            Misconfigured: before the first assignment alone: the broker refuses us (who we are, its certificate, our
                rights), or a topic does not exist. The text names which, and no secret.
        """
        ...

    def held(self) -> Mapping[Partition, int]:
        """The partitions that are ours now, with the tenure of each. Changes within `poll` only."""
        ...

    def pause(self, partitions: Collection[Partition]) -> None:
        """`poll` gives nothing of these until `resume`. Nothing is skipped by it. Not held: passed over."""
        ...

    def resume(self, partitions: Collection[Partition]) -> None:
        """The opposite of `pause`. Not held, or not paused: passed over."""
        ...

    def settle(self, partition: Partition, tenure: int, offset: int) -> None:
        """Everything of the partition before `offset` is durable here. The group's committed offset follows soon, at
        the latest when the partition is given up in an orderly way, or at `close`; it never goes beyond what was
        settled. An older tenure, or a lower offset than before, is passed over."""
        ...

    def bury(self, letter: Letter) -> None:
        """Write the letter to the dead-letter topic under `letter.key`; durable when it returns, after a bounded time.

        Raises:
            Unavailable: it is not, or nobody knows.
        """
        ...

    def survey(self, partitions: Collection[Partition]) -> list[Survey]:
        """These partitions as the broker sees them. What it does not answer for is left out."""
        ...

    def trim(self, bounds: Mapping[Partition, int]) -> None:
        """Delete every record before these offsets, for all readers of the topic. An offset beyond what the group has
        committed is lowered to that.

        Raises:
            Conflict: other groups read the topic, or the broker does not let us: nothing was deleted.
            Unavailable: not now.
        """
        ...

    def close(self) -> None:
        """Commit what was settled, leave the group, let go of connections. Twice is once."""
        ...
