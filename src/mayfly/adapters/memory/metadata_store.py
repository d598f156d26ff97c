"""Records, jobs and reservations in dictionaries, under one lock: every write is one step."""

import secrets
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from mayfly.adapters.memory.tables import ImageRow, ReservationRow, Tables
from mayfly.model.errors import AlreadyExists, Conflict, InFlight, LeaseLost
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import Minute, Ms
from mayfly.model.job import Job, LeaseToken, Processed
from mayfly.model.lifecycle import State
from mayfly.model.listing import Filter, Page
from mayfly.ports.clock import Clock
from mayfly.ports.metadata_store import Claim, Failed, GivenBack, RecordsRemoved, RejectedVerdict, Reservation, Verdict


class MemoryMetadataStore:
    def __init__(self, clock: Clock) -> None:
        self.tables = Tables(clock)

    def reserve(self, reservation: Reservation, until: Ms) -> ImageId:
        with self.tables.changed:
            self.tables.refuse_due(reservation.image_id)
            now = self.tables.clock.now()
            for key in (reservation.key, *reservation.aliases):
                other = self.tables.reservations.get(key)
                if other and other.image_id != reservation.image_id:
                    if other.kept and now < other.image_id.expires_at:
                        return other.image_id
                    if not other.kept and now < other.until:
                        raise InFlight("a request with the same idempotency key is still under way")
            for key in reservation.aliases:
                other = self.tables.reservations.get(key)
                if other and other.image_id != reservation.image_id:
                    del self.tables.reservations[key]
            row = self.tables.reservations.get(reservation.key)
            if row is None or not row.kept or row.image_id != reservation.image_id:
                self.tables.reservations[reservation.key] = ReservationRow(reservation.image_id, until)
            return reservation.image_id

    def release(self, reservation: Reservation) -> None:
        with self.tables.changed:
            if self._holds(reservation):
                del self.tables.reservations[reservation.key]

    def admit(self, record: ImageRecord, job: Job | None, reservation: Reservation | None = None) -> None:
        with self.tables.changed:
            self.tables.refuse_due(record.id)
            if record.id in self.tables.images:
                raise AlreadyExists(f"image {record.id} was admitted before")
            if reservation is not None:
                if reservation.image_id != record.id or not self._holds(reservation):
                    raise LeaseLost("the idempotency key belongs to another request by now")
                self.tables.reservations[reservation.key].kept = True
            self.tables.images[record.id] = ImageRow(record)
            insort(self.tables.order, record.id)
            self.tables.tell(record)
            self.tables.end(record)
            if job is not None:
                self.tables.hand_over(job)

    def fulfil(self, record: ImageRecord, job: Job) -> None:
        with self.tables.changed:
            row = self.tables.living(record.id)
            if row.record.state is not State.AWAITED:
                raise AlreadyExists(f"the bytes of image {record.id} came before")
            row.record = replace(
                row.record, state=record.state, media_type=record.media_type, size=record.size, sealed=record.sealed
            )
            self.tables.tell(row.record)
            self.tables.hand_over(job)

    def lapse(self, born_before: Ms) -> list[ImageId]:
        with self.tables.changed:
            bound = ImageId.first_born_at(born_before)
            lapsed = [
                image_id
                for image_id, row in self.tables.images.items()
                if row.record.state is State.AWAITED and image_id < bound
            ]
            for image_id in lapsed:
                self.tables.remove(image_id)
            return lapsed

    def count(self, state: State) -> int:
        with self.tables.changed:
            return sum(row.record.state is state for row in self.tables.images.values())

    def get(self, image_id: ImageId) -> ImageRecord:
        with self.tables.changed:
            return self.tables.living(image_id).record

    def find(self, wanted: Filter) -> Page:
        with self.tables.changed:
            found = tuple(islice(self._matching(wanted), wanted.limit + 1))
        page = found[: wanted.limit]
        return Page(page, page[-1].id if len(found) > wanted.limit else None)

    def claim(self, image_id: ImageId, lease_ms: int) -> Claim:
        with self.tables.changed:
            row = self.tables.living(image_id)
            now = self.tables.clock.now()
            abandoned = row.lease_until is not None and row.lease_until <= now
            if row.record.state is not State.RECEIVED and not abandoned:
                raise Conflict(f"image {image_id} is {row.record.state}; it cannot be claimed")
            row.record = replace(row.record, state=State.PROCESSING, attempts=row.record.attempts + 1)
            token = LeaseToken(secrets.token_hex(16))
            row.token, row.lease_until = token, Ms(min(now + lease_ms, image_id.expires_at))
            return Claim(row.record, token, row.lease_until)

    def settle(self, claim: Claim, verdict: Verdict) -> ImageRecord:
        with self.tables.changed:
            row = self.tables.living(claim.record.id)
            if row.token != claim.token:
                raise LeaseLost(f"the claim of image {claim.record.id} belongs to somebody else by now")
            row.record, row.token, row.lease_until = _settled(row.record, verdict), None, None
            if not isinstance(verdict, GivenBack):
                self.tables.tell(row.record)
                self.tables.end(row.record)
            return row.record

    def reopen(
        self, image_id: ImageId, job: Job, origins: frozenset[State], media_type: str | None = None
    ) -> ImageRecord:
        with self.tables.changed:
            row = self.tables.living(image_id)
            if row.record.state not in origins:
                raise Conflict(f"image {image_id} is {row.record.state}; it cannot begin anew from there")
            known = media_type or row.record.media_type
            row.record = replace(row.record, state=State.RECEIVED, attempts=0, reason=None, media_type=known)
            row.token, row.lease_until = None, None
            for dead in self.tables.of_image(image_id):
                dead.open = False
            self.tables.tell(row.record)
            self.tables.hand_over(job)
            return row.record

    def give_back_all(self) -> int:
        with self.tables.changed:
            tables = self.tables
            tables.reservations = {key: row for key, row in tables.reservations.items() if row.kept}
            for job in tables.jobs.values():
                if job.receipt is not None:
                    job.visible_at, job.receipt = tables.clock.now(), None
            leased = [row for row in tables.images.values() if row.token is not None]
            for row in leased:
                row.record, row.token, row.lease_until = _settled(row.record, GivenBack(counted=False)), None, None
            for image_id, image in tables.images.items():
                if image.record.state is State.RECEIVED and image_id not in tables.jobs:
                    tables.hand_over(Job(image_id))
            tables.changed.notify_all()
            return len(leased)

    def delete(self, image_id: ImageId) -> bool:
        with self.tables.changed:
            stood = image_id in self.tables.images
            self.tables.remove(image_id)
            return stood

    def due_minutes(self, through: Minute) -> list[Minute]:
        with self.tables.changed:
            standing = {image_id.expiry_minute for image_id in self._standing()}
            standing.update(row.letter.minute for row in self.tables.letters.values())
        return sorted(minute for minute in standing if minute <= through)

    def records(self, minute: Minute) -> list[ImageRecord]:
        with self.tables.changed:
            return [row.record for row in self.tables.images.values() if row.record.id.expiry_minute == minute]

    def purge(self, minute: Minute) -> RecordsRemoved:
        with self.tables.changed:
            tables = self.tables
            dying = {image_id for image_id in self._standing() if image_id.expiry_minute == minute}
            sources = [tables.images[image_id].record.source for image_id in dying & tables.images.keys()]
            removed = RecordsRemoved(
                http=sources.count(Source.HTTP),
                kafka=sources.count(Source.KAFKA),
                jobs=len(dying & tables.jobs.keys()),
            )
            for image_id in dying:
                tables.remove(image_id)
            tables.purge_letters(minute)
            tables.reservations = {k: row for k, row in tables.reservations.items() if row.image_id not in dying}
            return removed

    def scrub(self) -> None:
        """Nothing to do: there are no files."""

    def _holds(self, reservation: Reservation) -> bool:
        row = self.tables.reservations.get(reservation.key)
        return row is not None and row.image_id == reservation.image_id and not row.kept

    def _matching(self, wanted: Filter) -> Iterator[ImageRecord]:
        now, order = self.tables.clock.now(), self.tables.order
        start, end = 0, len(order)
        if wanted.received_from is not None:
            start = bisect_left(order, ImageId.first_born_at(wanted.received_from))
        if wanted.received_to is not None:
            end = bisect_left(order, ImageId.first_born_at(wanted.received_to))
        if wanted.after is not None:
            end = min(end, bisect_left(order, wanted.after))
        for index in range(end - 1, start - 1, -1):
            record = self.tables.images[order[index]].record
            if (
                now < record.id.expires_at
                and wanted.state in (None, record.state)
                and wanted.source in (None, record.source)
            ):
                yield record

    def _standing(self) -> set[ImageId]:
        tables = self.tables
        reserved = {row.image_id for row in tables.reservations.values()}
        return reserved.union(tables.images, tables.jobs, tables.buried)


def _settled(record: ImageRecord, verdict: Verdict) -> ImageRecord:
    match verdict:
        case Processed():
            done = replace(
                record, state=State.PROCESSED, renditions=verdict.renditions, facts=verdict.facts, reason=None
            )
            return done if verdict.sealed is None else replace(done, sealed=verdict.sealed)
        case Failed():
            return replace(record, state=State.FAILED, reason=verdict.reason)
        case RejectedVerdict():
            return replace(record, state=State.REJECTED, reason=verdict.reason)
        case GivenBack():
            attempts = record.attempts if verdict.counted else record.attempts - 1
            return replace(record, state=State.RECEIVED, attempts=attempts, reason=verdict.reason)
