"""Where the bytes stand that claim checks point at: folders that producers write and we read, and empty.

Whoever writes a claim check is a stranger: nothing is opened but a plain file beneath an allowed prefix, reached
without following a link.
"""

from collections.abc import Iterator
from typing import Protocol

from mayfly.model.claim import Claim

CHUNK_BYTES = 64 * 1024


class ClaimedFile(Protocol):
    """One open file. Used by one thread at a time."""

    @property
    def external(self) -> bool:
        """Whether it is somebody else's to remove."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """All of it, from its beginning, at most 64 KiB at a time. Its hash is the caller's to look at.

        Raises:
            ClaimMismatch: it came to be larger or smaller than the claim says.
            Unavailable: it cannot be read now.
        """
        ...

    def remove(self) -> None:
        """Remove it, durably. One that is gone, or another one that took its name meanwhile, or an external one, is
        left alone.

        Raises:
            Unavailable: it cannot be removed now; it stands.
        """
        ...

    def close(self) -> None: ...


class ClaimSource(Protocol):
    def open(self, claim: Claim) -> ClaimedFile:
        """Open what a claim points at; not a byte of it is read yet.

        Raises:
            ClaimRefused: it lies beneath no allowed prefix, or is no plain file with one name, or we may not read it.
            ClaimMissing: nothing stands there.
            ClaimMismatch: its size is another than the claim says.
            Unavailable: not now; an allowed prefix itself that cannot be opened is this, too.
        """
        ...
