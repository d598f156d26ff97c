"""Processing one image: claim, open, decode in the cage, seal, store, settle.

This is the parent's half. It holds the keys and the stores and never decodes; the worker in the sandbox decodes and
holds nothing. Whatever goes wrong ends in exactly one verdict, or in a lease that runs out and is taken again.
"""

import contextlib
import hmac
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mayfly.model.address import Address
from mayfly.model.errors import (
    AttemptFailed,
    Conflict,
    Gone,
    KeyDestroyed,
    LeaseLost,
    NotFound,
    ObjectMissing,
    Rejected,
    StorageFull,
    Unavailable,
    Unopenable,
)
from mayfly.model.image import Facts, ImageRecord, Rendition, Source
from mayfly.model.instant import SECOND, Week, week_of
from mayfly.model.job import Delivery, Processed
from mayfly.model.journal import Journal
from mayfly.model.lifecycle import State
from mayfly.ports.clock import Clock
from mayfly.ports.key_store import KeyStore
from mayfly.ports.metadata_store import Claim, Failed, GivenBack, MetadataStore, RejectedVerdict, Verdict
from mayfly.ports.object_store import ObjectStore
from mayfly.ports.work_queue import WorkQueue
from mayfly.processing.sandbox import Outcome, Sandbox
from mayfly.processing.shared_body import SharedBody
from mayfly.vault.vault import Vault

_FINGERPRINT_BYTES = 16
_FIRST_BACKOFF_MS = 2 * SECOND
_LONGEST_BACKOFF_MS = 60 * SECOND
_LOOK_FOR_ROOM_EVERY = 1.0
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


class Processing:
    """Handles deliveries, one at a time, with one sandbox. Used by one thread."""

    def __init__(
        self,
        stores: Stores,
        sandbox: Sandbox,
        attempts: int,
        lease_ms: int,
        journal: Journal,
        stopping: threading.Event,
    ) -> None:
        self._stores = stores
        self._sandbox = sandbox
        self._attempts = attempts
        self._lease_ms = lease_ms
        self._journal = journal
        self._stopping = stopping

    def run_once(self, wait_seconds: float) -> bool:
        """Take and handle at most one delivery. True if there was one."""
        deliveries = self._stores.queue.receive(1, self._lease_ms, wait_seconds)
        for delivery in deliveries:
            self.handle(delivery)
        return bool(deliveries)

    def handle(self, delivery: Delivery) -> None:
        """Bring one delivery to its end. Repeatable: a second delivery of the same job does no harm."""
        queue = self._stores.queue
        try:
            claim = self._stores.metadata.claim(delivery.job.image_id, self._lease_ms)
        except (Gone, NotFound):
            queue.delete(delivery.receipt)
            return
        except Conflict:
            self._leave_to_the_holder(delivery)
            return
        try:
            self._attempt(claim, delivery)
        except (Gone, NotFound):
            # Purged or erased while it was worked on: whatever was stored since is taken away again.
            self._remove_renditions(claim.record)
            queue.delete(delivery.receipt)
        except LeaseLost:
            self._journal("lease_lost", image=str(claim.record.id))

    def _attempt(self, claim: Claim, delivery: Delivery) -> None:
        image_id, queue = claim.record.id, self._stores.queue
        try:
            self._settle(claim, self._produce(claim))
            queue.delete(delivery.receipt)
        except Rejected as fault:
            if self._settle_once_there_is_room(claim, RejectedVerdict(str(fault))) is None:
                return
            if claim.record.source is Source.HTTP:
                # Only Kafka's bytes are kept, for a redrive; over HTTP the caller still has them.
                self._stores.objects.delete(Address.original(image_id))
            queue.delete(delivery.receipt)
        except ObjectMissing:
            self._fail(claim, delivery, "original-missing")
        except Unopenable:
            self._fail(claim, delivery, "original-damaged")
        except AttemptFailed as fault:
            self._fail_or_retry(claim, delivery, str(fault))
        except Unavailable as fault:
            self._give_back(claim, delivery, str(fault))

    def _produce(self, claim: Claim) -> Processed:
        record, vault = claim.record, self._stores.vault
        watch = _Stopwatch()
        queued_ms = self._stores.clock.now() - record.id.birth
        with SharedBody.create(max(record.size, 1)) as body:
            self._open_into(body, record)
            watch.lap("open")
            with self._sandbox.run(body, record.media_type) as outcome:
                watch.lap("work")
                renditions = []
                for picture in outcome.pictures:
                    writer = vault.create(Address.rendition(record.id, picture.name), replace=True)
                    try:
                        writer.write(picture.data)
                        writer.commit()
                    finally:
                        writer.abort()
                    renditions.append(
                        Rendition(
                            picture.name,
                            picture.media_type,
                            len(picture.data),
                            picture.width,
                            picture.height,
                            picture.recipe,
                        )
                    )
                watch.lap("store")
                facts = self._facts(outcome, {"queued": float(queued_ms), **watch.laps})
        return Processed(tuple(renditions), facts)

    def _open_into(self, body: SharedBody, record: ImageRecord) -> None:
        reader = self._stores.vault.open(Address.original(record.id))
        try:
            if reader.size != record.size:
                raise Unopenable("the original has another size than its record")
            position = 0
            for chunk in reader.chunks():
                body.write_at(position, chunk)
                position += len(chunk)
        finally:
            reader.close()

    def _facts(self, outcome: Outcome, timings: Mapping[str, float]) -> Facts:
        laps = {**timings, **outcome.timings}
        laps.pop("work", None)
        return {
            **outcome.facts,
            "fingerprint": self._fingerprints(outcome.phash),
            "timings": {f"{name}_ms": round(value, 1) for name, value in laps.items()},
        }

    def _fingerprints(self, phash: bytes) -> dict[str, str]:
        """The picture's hash under this week's key and next week's, so that neighbours in time stay comparable.

        HMAC-SHA256, cut to 16 bytes; once a week's key is dead nobody can compute or look up such a value.
        """
        keys, current = self._stores.keys, week_of(self._stores.clock.now())
        found: dict[str, str] = {}
        for week in (current, Week(current + 1)):
            try:
                digest = hmac.digest(keys.week_key(week), phash, "sha256")
            except KeyDestroyed:
                continue
            found[str(week)] = digest[:_FINGERPRINT_BYTES].hex()
        return found

    def _fail_or_retry(self, claim: Claim, delivery: Delivery, reason: str) -> None:
        if claim.record.attempts >= self._attempts:
            self._fail(claim, delivery, reason)
            return
        if self._settle_once_there_is_room(claim, GivenBack(counted=True, reason=reason)) is None:
            return
        backoff = min(_FIRST_BACKOFF_MS << (claim.record.attempts - 1), _LONGEST_BACKOFF_MS)
        # Jitter, so that what failed together does not come back together.
        self._delay(delivery, round(backoff * random.uniform(0.5, 1.0)))  # noqa: S311 - no secret

    def _fail(self, claim: Claim, delivery: Delivery, reason: str) -> None:
        record = self._settle_once_there_is_room(claim, Failed(reason))
        if record is not None:
            self._stores.queue.bury(delivery.receipt, reason, record.attempts)

    def _give_back(self, claim: Claim, delivery: Delivery, reason: str) -> None:
        """No fault of the image's: the attempt does not count."""
        if self._settle_once_there_is_room(claim, GivenBack(counted=False, reason=reason)) is not None:
            self._delay(delivery, _FIRST_BACKOFF_MS)

    def _settle_once_there_is_room(self, claim: Claim, verdict: Verdict) -> ImageRecord | None:
        """`_settle`, tried until a full disk has room again: a lease that ran out instead would cost an attempt more.

        None: the owner stops first. The next one gives all leases back.
        """
        told = False
        while True:
            try:
                return self._settle(claim, verdict)
            except StorageFull as fault:
                if not told:
                    self._journal("verdict_waits", image=str(claim.record.id), reason=str(fault))
                told = True
                if self._stopping.wait(_LOOK_FOR_ROOM_EVERY):
                    return None

    def _settle(self, claim: Claim, verdict: Verdict) -> ImageRecord:
        record = self._stores.metadata.settle(claim, verdict)
        self._journal(record.state.value, image=str(record.id), attempts=record.attempts, reason=record.reason)
        return record

    def _leave_to_the_holder(self, delivery: Delivery) -> None:
        """Somebody holds the lease, or the work is done. A job is dropped only when nothing is left to do."""
        queue = self._stores.queue
        try:
            record = self._stores.metadata.get(delivery.job.image_id)
        except (Gone, NotFound):
            queue.delete(delivery.receipt)
            return
        if record.state is State.FAILED:
            # Whoever failed it was cut off before its job was buried.
            with contextlib.suppress(LeaseLost):
                queue.bury(delivery.receipt, record.reason or "unknown", record.attempts)
        elif record.state not in (State.PROCESSING, State.RECEIVED):
            queue.delete(delivery.receipt)

    def _delay(self, delivery: Delivery, milliseconds: int) -> None:
        try:
            self._stores.queue.change_visibility(delivery.receipt, milliseconds)
        except LeaseLost:
            return

    def _remove_renditions(self, record: ImageRecord) -> None:
        for recipe in self._sandbox.recipes:
            self._stores.objects.delete(Address.rendition(record.id, recipe.name))


class _Stopwatch:
    """Milliseconds between laps, by name."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._last = now()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        moment = self._now()
        self.laps[name] = (moment - self._last) * 1_000
        self._last = moment
