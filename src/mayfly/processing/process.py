"""Processing one image: claim, open, decode in the cage, seal, store, settle.

This is the parent's half. It holds the keys and the stores and never decodes; the worker in the sandbox decodes and
holds nothing. Whatever goes wrong ends in exactly one verdict, or in a lease that runs out and is taken again.
"""

import contextlib
import threading

from mayfly.model.address import Address
from mayfly.model.errors import (
    AttemptFailed,
    ClockHeld,
    Conflict,
    Expired,
    Gone,
    LeaseLost,
    NotFound,
    ObjectMissing,
    Rejected,
    Unavailable,
    Unopenable,
)
from mayfly.model.image import Source
from mayfly.model.instant import SECOND
from mayfly.model.job import Delivery
from mayfly.model.journal import Journal
from mayfly.model.lifecycle import State
from mayfly.ports.metadata_store import Claim, RejectedVerdict
from mayfly.processing.making import Making
from mayfly.processing.own.call import OwnSteps
from mayfly.processing.sandbox import Sandbox
from mayfly.processing.verdicts import Stores, Verdicts


class Processing:
    """Handles deliveries, one at a time, with one sandbox. Used by one thread."""

    def __init__(
        self,
        stores: Stores,
        sandbox: Sandbox,
        own_steps: OwnSteps,
        attempts: int,
        lease_ms: int,
        journal: Journal,
        stopping: threading.Event,
    ) -> None:
        self._stores = stores
        self._making = Making(stores, sandbox, own_steps)
        self._attempts = attempts
        self._lease_ms = lease_ms
        self._journal = journal
        self._verdicts = Verdicts(stores, attempts, journal, stopping)

    def run_once(self, wait_seconds: float) -> bool:
        """Take and handle at most one delivery. True if there was one.

        Raises:
            ClockHeld: by a time that nobody believes, nothing is claimed and nothing is found to be gone.
        """
        if self._stores.clock.held():
            raise ClockHeld("wall time jumped: nothing is processed until it is confirmed or set right")
        deliveries = self._stores.queue.receive(1, self._lease_ms, wait_seconds)
        for delivery in deliveries:
            self.handle(delivery)
        return bool(deliveries)

    def handle(self, delivery: Delivery) -> None:
        """Bring one delivery to its end. Repeatable: a second delivery of the same job does no harm."""
        queue = self._stores.queue
        try:
            claim = self._stores.metadata.claim(delivery.job.image_id, self._lease_ms)
        except (Gone, NotFound) as fault:
            if self._verdicts.believed(fault):
                queue.delete(delivery.receipt)
            return
        except Conflict:
            self._leave_to_the_holder(delivery)
            return
        try:
            if claim.record.attempts > self._attempts:
                # Its leases ran out again and again, and nobody lived to say why.
                self._verdicts.fail(claim, delivery, claim.record.reason or "attempts-spent")
            else:
                self._attempt(claim, delivery)
        except (Gone, NotFound):
            # Purged or erased while it was worked on: whatever was stored since is taken away again.
            self._making.remove_everything(claim.record)
            queue.delete(delivery.receipt)
        except LeaseLost:
            self._journal("lease_lost", image=str(claim.record.id))

    def _attempt(self, claim: Claim, delivery: Delivery) -> None:
        self._journal("attempt_begun")
        try:
            settled = self._verdicts.settle(claim, self._making.make(claim.record, self._lease_ms / SECOND))
        except Exception as fault:
            self._conclude(claim, delivery, fault)
        else:
            self._stores.queue.delete(delivery.receipt)
            self._making.remove_what_was_replaced(claim.record, settled)
        finally:
            self._journal("attempt_ended")

    def _conclude(self, claim: Claim, delivery: Delivery, fault: Exception) -> None:
        """What a fault means for the image. One that is not about this attempt is raised on."""
        verdicts = self._verdicts
        match fault:
            case Rejected():
                self._reject(claim, delivery, str(fault))
            case ObjectMissing():
                verdicts.fail(claim, delivery, "original-missing")
            case Unopenable():
                verdicts.fail(claim, delivery, "original-damaged")
            case Expired() if not verdicts.believed(fault):
                verdicts.give_back(claim, delivery, "clock-held")
            case LeaseLost() | Gone() | NotFound():
                raise fault
            case AttemptFailed():
                verdicts.fail_or_retry(claim, delivery, str(fault))
            case Unavailable():
                verdicts.give_back(claim, delivery, str(fault))
            case _:
                # Ours or the machine's, and without a name in the tree: an attempt like any other.
                verdicts.fail_or_retry(claim, delivery, f"fault-{type(fault).__name__.lower()}")

    def _reject(self, claim: Claim, delivery: Delivery, reason: str) -> None:
        if self._verdicts.settle_in_the_end(claim, RejectedVerdict(reason)) is None:
            return
        if claim.record.source is Source.HTTP and not claim.record.renditions:
            # Only Kafka's bytes are kept, for a redrive; over HTTP the caller still has them. What was processed
            # before and fails under changed recipes is nobody's refuse: the caller was told that we have it.
            self._stores.objects.delete(Address.original(claim.record.id))
        self._stores.queue.delete(delivery.receipt)

    def _leave_to_the_holder(self, delivery: Delivery) -> None:
        """Somebody holds the lease, or the work is done. A job is dropped only when nothing is left to do."""
        queue = self._stores.queue
        try:
            record = self._stores.metadata.get(delivery.job.image_id)
        except (Gone, NotFound) as fault:
            if self._verdicts.believed(fault):
                queue.delete(delivery.receipt)
            return
        if record.state is State.FAILED:
            # Whoever failed it was cut off before its job was buried.
            with contextlib.suppress(LeaseLost):
                queue.bury(delivery.receipt, record.reason or "unknown", record.attempts)
        elif record.state not in (State.PROCESSING, State.RECEIVED):
            queue.delete(delivery.receipt)
