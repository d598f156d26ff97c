"""Ending a claim: the one verdict that every attempt comes to, on a full disk and under a held clock too."""

import random
import threading
from dataclasses import dataclass

from mayfly.model.errors import Expired, Gone, LeaseLost, NotFound, StorageFull
from mayfly.model.image import ImageRecord
from mayfly.model.instant import SECOND
from mayfly.model.job import Delivery, Processed
from mayfly.model.journal import Journal
from mayfly.ports.clock import Clock
from mayfly.ports.key_store import KeyStore
from mayfly.ports.metadata_store import Claim, Failed, GivenBack, MetadataStore, Verdict
from mayfly.ports.object_store import ObjectStore
from mayfly.ports.work_queue import WorkQueue
from mayfly.vault.vault import Vault

_FIRST_BACKOFF_MS = 2 * SECOND
_LONGEST_BACKOFF_MS = 60 * SECOND
_LOOK_AGAIN_EVERY = 1.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What processing reads and writes."""

    vault: Vault
    objects: ObjectStore
    metadata: MetadataStore
    queue: WorkQueue
    keys: KeyStore
    clock: Clock


class Verdicts:
    """Settles claims and puts their jobs where they belong."""

    def __init__(self, stores: Stores, attempts: int, journal: Journal, stopping: threading.Event) -> None:
        self._stores = stores
        self._attempts = attempts
        self._journal = journal
        self._stopping = stopping

    def believed(self, fault: Gone | NotFound) -> bool:
        """Whether the image is really gone. While the clock is held, "expired" is what a doubted time says."""
        return not (isinstance(fault, Expired) and self._stores.clock.held())

    def settle(self, claim: Claim, verdict: Verdict) -> ImageRecord:
        """End the claim, or raise what `MetadataStore.settle` raises."""
        record = self._stores.metadata.settle(claim, verdict)
        event, told = _told(record, verdict)
        self._journal(event, image=str(record.id), attempts=record.attempts, reason=record.reason, **told)
        return record

    def settle_in_the_end(self, claim: Claim, verdict: Verdict) -> ImageRecord | None:
        """`settle`, tried until a full disk has room again, or a held clock is right: a lease that ran out instead
        would cost an attempt more.

        None: the owner stops first. The next one gives all leases back.
        """
        told = False
        while True:
            try:
                return self.settle(claim, verdict)
            except (StorageFull, Expired) as fault:
                if isinstance(fault, Expired) and self.believed(fault):
                    raise
                if not told:
                    self._journal("verdict_waits", image=str(claim.record.id), reason=str(fault))
                told = True
                if self._stopping.wait(_LOOK_AGAIN_EVERY):
                    return None

    def fail_or_retry(self, claim: Claim, delivery: Delivery, reason: str) -> None:
        """The attempt failed: back to the queue, or `failed` once the attempts are spent."""
        if claim.record.attempts >= self._attempts:
            self.fail(claim, delivery, reason)
            return
        if self.settle_in_the_end(claim, GivenBack(counted=True, reason=reason)) is None:
            return
        backoff = min(_FIRST_BACKOFF_MS << (claim.record.attempts - 1), _LONGEST_BACKOFF_MS)
        # Jitter, so that what failed together does not come back together.
        self._delay(delivery, round(backoff * random.uniform(0.5, 1.0)))  # noqa: S311 - no secret

    def fail(self, claim: Claim, delivery: Delivery, reason: str) -> None:
        """`failed`, and its job a dead letter."""
        record = self.settle_in_the_end(claim, Failed(reason))
        if record is not None:
            self._stores.queue.bury(delivery.receipt, reason, record.attempts)

    def give_back(self, claim: Claim, delivery: Delivery, reason: str) -> None:
        """No fault of the image's: the attempt does not count."""
        if self.settle_in_the_end(claim, GivenBack(counted=False, reason=reason)) is not None:
            self._delay(delivery, _FIRST_BACKOFF_MS)

    def _delay(self, delivery: Delivery, milliseconds: int) -> None:
        try:
            self._stores.queue.change_visibility(delivery.receipt, milliseconds)
        except LeaseLost:
            return


def _told(record: ImageRecord, verdict: Verdict) -> tuple[str, dict[str, object]]:
    """The event's name, and what the figures want beside."""
    match verdict:
        case GivenBack(counted):
            return "given_back", {"counted": counted}
        case Processed(_, facts):
            return record.state.value, {"timings": facts.get("timings")}
        case _:
            return record.state.value, {}
