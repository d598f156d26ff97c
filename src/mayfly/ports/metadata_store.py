"""Records, and the one hand-over of an image to its job.

Every write that concerns a live image is conditional on `now < expires_at` by the store's own clock, in the same
atomic step: that is the fence. A late worker can change nothing, and nothing purged comes back.

Whoever writes a change of state writes its event in the same step (see `ports.event_log`): `admit` (received, or
what else the record says), `settle` (processed, failed, rejected; an attempt given back is no event), `reopen`
and `fulfil` (received), `delete`, `lapse` and `purge` (purged). A purge whose event finds no room on a full disk is
made without it.
"""

from dataclasses import dataclass
from typing import Protocol

from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord
from mayfly.model.instant import Minute, Ms
from mayfly.model.job import Job, LeaseToken, Processed
from mayfly.model.lifecycle import State
from mayfly.model.listing import Filter, Page


@dataclass(frozen=True, slots=True)
class Reservation:
    """An idempotency key in use. `key` is a keyed hash of 32 bytes, never the caller's own text; `aliases` are the
    same text under other keys of the hash: whoever holds one of them holds the key, and who held one until its time
    passed loses it."""

    key: bytes
    image_id: ImageId
    aliases: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to process one image until `lease_until`, which never crosses `expires_at`. The record is as
    claimed: state `processing`, this attempt counted."""

    record: ImageRecord
    token: LeaseToken
    lease_until: Ms


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempts are spent."""

    reason: str


@dataclass(frozen=True, slots=True)
class RejectedVerdict:
    """The image is at fault."""

    reason: str


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Not done; back to `received`. `counted` says whether the attempt stays counted."""

    counted: bool
    reason: str | None = None


Verdict = Processed | Failed | RejectedVerdict | GivenBack


@dataclass(frozen=True, slots=True)
class RecordsRemoved:
    """What a purge removed, by source."""

    http: int = 0
    kafka: int = 0
    jobs: int = 0


class Admissions(Protocol):
    """The hand-over, as a door sees it. A door may be a process of its own: these verbs are then asked of the owner."""

    def reserve(self, reservation: Reservation, until: Ms) -> ImageId:
        """Take an idempotency key, durably, before a body is read.

        Returns the reservation's own id where the key was free (or a stale one's time `until` had passed), else the
        id of the image that was admitted under it, alive or erased.

        Raises:
            InFlight: another request holds the key.
            Expired: the reservation's image is due already.
        """
        ...

    def release(self, reservation: Reservation) -> None:
        """Give an idempotency key back after nothing was admitted, on a full disk too. One that is not held by this id
        is left alone."""
        ...

    def admit(self, record: ImageRecord, job: Job | None, reservation: Reservation | None = None) -> None:
        """The hand-over: record, job and the kept reservation become durable in one atomic step. A record that is
        `rejected` from the start, one of a stream, brings its dead letter in the same step.

        Raises:
            AlreadyExists: the id has a record; nothing changed.
            Expired: the image is due; nothing changed.
            LeaseLost: the reservation is no longer held by this id; nothing changed.
            StorageFull: nothing changed.
        """
        ...

    def get(self, image_id: ImageId) -> ImageRecord:
        """The record of an image that lives.

        Raises:
            Expired: due, whether or not a record still stands.
            NotFound: no record.
        """
        ...


class MetadataStore(Admissions, Protocol):
    """Everything the owner does with records; `Admissions` is what a door needs of it."""

    def fulfil(self, record: ImageRecord, job: Job) -> None:
        """The bytes of an awaited image came: `record` takes the place of the one that awaited them, and the job
        becomes durable with it, in one atomic step. Of many callers exactly one wins.

        Raises:
            Expired, NotFound: as `get`; nothing changed.
            AlreadyExists: the image is awaited no more; nothing changed.
            StorageFull: nothing changed.
        """
        ...

    def lapse(self, born_before: Ms) -> list[ImageId]:
        """Remove the records of all images born before then that are still awaited. Repeatable. Returns whose."""
        ...

    def count(self, state: State) -> int:
        """How many records stand in that state, due or not."""
        ...

    def find(self, wanted: Filter) -> Page:
        """Newest birth first; what is due is not listed. Cost does not grow with what is passed over by `after`."""
        ...

    def claim(self, image_id: ImageId, lease_ms: int) -> Claim:
        """Take the lease: one conditional write, so of many racing callers exactly one wins.

        From `received`, or from `processing` whose lease has run out. Counts an attempt.

        Raises:
            Expired, NotFound: as `get`.
            Conflict: somebody holds the lease, or the state is another.
        """
        ...

    def settle(self, claim: Claim, verdict: Verdict) -> ImageRecord:
        """End a claim; the record as it stands afterwards. One conditional write. Only `Processed` touches renditions,
        facts and what is sealed.

        A lease that ran out still settles, as long as nobody took the image since.

        Raises:
            Expired, NotFound: as `get`; nothing is written: what was purged or erased stays so.
            LeaseLost: the token is not the present one.
        """
        ...

    def reopen(
        self, image_id: ImageId, job: Job, origins: frozenset[State], media_type: str | None = None
    ) -> ImageRecord:
        """Back to `received` with a new job, in one atomic step; attempts begin anew. `media_type` takes the place of
        the record's, unless it is None.

        Raises:
            Expired, NotFound: as `get`.
            Conflict: the state is none of `origins`.
        """
        ...

    def give_back_all(self) -> int:
        """Give back every lease and every unfinished reservation, uncounted: the owner that held them is gone.
        Delivered jobs become visible at once, and their receipts end. Every record that is then `received` and has no
        job gets one: a lost job would leave its image waiting until it dies. Called by an owner that starts, before
        anyone else writes. Returns how many leases."""
        ...

    def delete(self, image_id: ImageId) -> bool:
        """Remove record, job and dead letter; a reservation stays, so that its repeat finds the erased id.
        False: no record."""
        ...

    def due_minutes(self, through: Minute) -> list[Minute]:
        """The minutes of expiry up to `through` under which anything stands, ascending."""
        ...

    def records(self, minute: Minute) -> list[ImageRecord]:
        """Every record that dies in that minute, due or not."""
        ...

    def purge(self, minute: Minute) -> RecordsRemoved:
        """Remove everything of a minute: records, jobs, dead letters, reservations. Repeatable."""
        ...

    def scrub(self) -> None:
        """Leave no deleted content in the store's own files (free pages, logs). Called after purges and erasures."""
        ...
