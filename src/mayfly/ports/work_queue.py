"""The queue, with the semantics of SQS: receipt, visibility, receive count, dead letters. At least once, unordered.

Jobs enter by `MetadataStore.admit` and `reopen`, through the outbox; nobody sends to the queue directly.
"""

from typing import Protocol

from mayfly.model.identity import ImageId
from mayfly.model.job import Backlog, DeadLetter, Delivery, Receipt


class WorkQueue(Protocol):
    def receive(self, limit: int, visibility_ms: int, wait_seconds: float) -> list[Delivery]:
        """Up to `limit` visible jobs, oldest visible first, each hidden for `visibility_ms`.

        Waits up to `wait_seconds` for the first; an empty list means none came. Of racing callers, no two get the
        same job while it is hidden. A job whose image is due is not delivered.
        """
        ...

    def change_visibility(self, receipt: Receipt, visibility_ms: int) -> None:
        """Hide for that long from now on; 0 makes the job visible at once (backoff is a longer one).

        Raises:
            LeaseLost: the job was deleted, or delivered again since.
        """
        ...

    def delete(self, receipt: Receipt) -> None:
        """Done. Deleting what is gone or was delivered again since is no error, and then deletes nothing."""
        ...

    def bury(self, receipt: Receipt, reason: str, attempts: int) -> None:
        """Move the job to the dead letters, in one step.

        Raises:
            LeaseLost: as `change_visibility`.
        """
        ...

    def dead_letters(self, limit: int, after: ImageId | None = None) -> list[DeadLetter]:
        """By image id, ascending. `MetadataStore.reopen` takes an image's letter away."""
        ...

    def depth(self) -> int:
        """Jobs that wait or are in hand; dead letters do not count."""
        ...

    def backlog(self) -> Backlog:
        """How much there is to do. A job whose image is due counts until its minute is purged. What it costs does not
        grow with the number of images that have no job."""
        ...
