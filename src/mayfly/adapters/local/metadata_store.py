"""Records in SQLite. Each conditional write is one transaction of the database's own thread (see `database`)."""

import secrets
import sqlite3

from mayfly.adapters.local import awaited, letters
from mayfly.adapters.local.database import Database
from mayfly.adapters.local.outbox import purging_and_telling, tell, tell_purged
from mayfly.adapters.local.rows import COLUMNS, find_record, insert_record, record_of, settled
from mayfly.model.errors import AlreadyExists, Conflict, Expired, InFlight, LeaseLost, NotFound
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import Minute, Ms
from mayfly.model.job import Job, LeaseToken
from mayfly.model.lifecycle import State
from mayfly.model.listing import Filter, Page
from mayfly.ports.clock import Clock
from mayfly.ports.metadata_store import Claim, GivenBack, RecordsRemoved, Reservation, Verdict

_PURGED_AT_ONCE = 500
"""Rows a purge deletes in one transaction, so that the pages it needs on a full disk fit the reserve."""


class SqliteMetadataStore:
    """Implements `ports.metadata_store.MetadataStore`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def reserve(self, reservation: Reservation, until: Ms) -> ImageId:
        def work(connection: sqlite3.Connection) -> ImageId:
            self._refuse_due(reservation.image_id)
            for key in (reservation.key, *reservation.aliases):
                holder = self._holder(connection, key, reservation.image_id)
                if holder is not None:
                    return holder
            # What is left under an older key is stale: whoever held it admits nothing under it any more.
            stale = [(key, reservation.image_id.raw) for key in reservation.aliases]
            connection.executemany("DELETE FROM reservations WHERE key = ? AND image_id <> ?", stale)
            connection.execute(
                "INSERT OR REPLACE INTO reservations (key, image_id, minute, until) VALUES (?, ?, ?, ?)",
                (reservation.key, reservation.image_id.raw, reservation.image_id.expiry_minute, until),
            )
            return reservation.image_id

        return self._database.write(work)

    def release(self, reservation: Reservation) -> None:
        # On a full disk, too: an upload refused for want of room is to be repeated as soon as there is some.
        self._database.purging(
            lambda connection: (
                connection.execute(
                    "DELETE FROM reservations WHERE key = ? AND image_id = ? AND until IS NOT NULL",
                    (reservation.key, reservation.image_id.raw),
                ).rowcount
            )
        )

    def admit(self, record: ImageRecord, job: Job | None, reservation: Reservation | None = None) -> None:
        def work(connection: sqlite3.Connection) -> None:
            self._refuse_due(record.id)
            try:
                insert_record(connection, record)
            except sqlite3.IntegrityError:
                raise AlreadyExists("this image is recorded already") from None
            tell(connection, record, self._clock.now())
            letters.end(connection, record, self._clock.now())
            if job is not None:
                self._add_job(connection, job)
            if reservation is not None:
                kept = connection.execute(
                    "UPDATE reservations SET until = NULL WHERE key = ? AND image_id = ?",
                    (reservation.key, reservation.image_id.raw),
                ).rowcount
                if not kept:
                    raise LeaseLost("the Idempotency-Key was taken over by another request; repeat the request")

        self._database.write(work)

    def fulfil(self, record: ImageRecord, job: Job) -> None:
        def work(connection: sqlite3.Connection) -> None:
            self._refuse_due(record.id)
            awaited.fulfil(connection, record)
            tell(connection, record, self._clock.now())
            self._add_job(connection, job)

        self._database.write(work)

    def lapse(self, born_before: Ms) -> list[ImageId]:
        return awaited.lapse(self._database, born_before, self._clock)

    def count(self, state: State) -> int:
        return awaited.count(self._database, state)

    def get(self, image_id: ImageId) -> ImageRecord:
        self._refuse_due(image_id)
        record = self._database.read(lambda connection: find_record(connection, image_id))
        if record is None:
            raise NotFound("no such image")
        return record

    def find(self, wanted: Filter) -> Page:
        conditions, values = ["expires_at > ?"], [self._clock.now()]
        bounds: list[tuple[str, object]] = []
        if wanted.state is not None:
            bounds.append(("state = ?", wanted.state))
        if wanted.source is not None:
            bounds.append(("source = ?", wanted.source))
        if wanted.received_from is not None:
            bounds.append(("id >= ?", ImageId.first_born_at(wanted.received_from).raw))
        if wanted.received_to is not None:
            bounds.append(("id < ?", ImageId.first_born_at(wanted.received_to).raw))
        if wanted.after is not None:
            bounds.append(("id < ?", wanted.after.raw))
        conditions += [condition for condition, _ in bounds]
        where = " AND ".join(conditions)
        # Only fixed conditions are joined; every value is bound.
        query = f"SELECT {COLUMNS} FROM images WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608
        parameters = (*values, *(value for _, value in bounds), wanted.limit + 1)
        rows = self._database.read(lambda connection: connection.execute(query, parameters).fetchall())
        records = tuple(record_of(row) for row in rows[: wanted.limit])
        return Page(records, records[-1].id if len(rows) > wanted.limit else None)

    def claim(self, image_id: ImageId, lease_ms: int) -> Claim:
        token = LeaseToken(secrets.token_hex(16))

        def work(connection: sqlite3.Connection) -> Claim:
            self._refuse_due(image_id)
            now = self._clock.now()
            lease_until = Ms(min(now + lease_ms, image_id.expires_at))
            # One conditional write: of two workers with the same job, the second finds the lease taken.
            taken = connection.execute(
                "UPDATE images SET state = 'processing', attempts = attempts + 1, lease_token = ?, lease_until = ?"
                " WHERE id = ? AND (state = 'received' OR (state = 'processing' AND lease_until <= ?))",
                (token, lease_until, image_id.raw, now),
            ).rowcount
            record = find_record(connection, image_id)
            if record is None:
                raise NotFound("no such image")
            if not taken:
                raise Conflict(f"the image is {record.state}; nobody else may take it now")
            return Claim(record, token, lease_until)

        return self._database.write(work)

    def settle(self, claim: Claim, verdict: Verdict) -> ImageRecord:
        image_id = claim.record.id
        assignments, values = settled(verdict)

        def work(connection: sqlite3.Connection) -> ImageRecord:
            self._refuse_due(image_id)
            # Assignments are fixed texts, chosen by the verdict's type.
            changed = connection.execute(
                f"UPDATE images SET {assignments}, lease_token = NULL, lease_until = NULL"  # noqa: S608
                " WHERE id = ? AND state = 'processing' AND lease_token = ?",
                (*values, image_id.raw, claim.token),
            ).rowcount
            record = find_record(connection, image_id)
            if record is None:
                raise NotFound("no such image")
            if not changed:
                raise LeaseLost("the lease ran out and the image is somebody else's by now")
            if not isinstance(verdict, GivenBack):
                tell(connection, record, self._clock.now())
                letters.end(connection, record, self._clock.now())
            return record

        return self._database.write(work)

    def reopen(
        self, image_id: ImageId, job: Job, origins: frozenset[State], media_type: str | None = None
    ) -> ImageRecord:
        def work(connection: sqlite3.Connection) -> ImageRecord:
            self._refuse_due(image_id)
            record = find_record(connection, image_id)
            if record is None:
                raise NotFound("no such image")
            if record.state not in origins:
                allowed = " or ".join(sorted(origins))
                raise Conflict(f"the image is {record.state}; only one that is {allowed} can be processed again")
            connection.execute(
                "UPDATE images SET state = 'received', attempts = 0, reason = NULL, media_type = ? WHERE id = ?",
                (media_type or record.media_type, image_id.raw),
            )
            connection.execute("DELETE FROM dead_letters WHERE image_id = ?", (image_id.raw,))
            letters.close(connection, image_id)
            self._add_job(connection, job)
            reopened = find_record(connection, image_id)
            assert reopened is not None
            tell(connection, reopened, self._clock.now())
            return reopened

        return self._database.write(work)

    def give_back_all(self) -> int:
        def work(connection: sqlite3.Connection) -> int:
            connection.execute("DELETE FROM reservations WHERE until IS NOT NULL")
            connection.execute("UPDATE jobs SET visible_at = 0, receipt = NULL WHERE receipt IS NOT NULL")
            given_back = connection.execute(
                "UPDATE images SET state = 'received', attempts = attempts - 1, lease_token = NULL,"
                " lease_until = NULL WHERE state = 'processing'"
            ).rowcount
            connection.execute(
                "INSERT INTO jobs (image_id, minute, expires_at, visible_at, receive_count, receipt)"
                " SELECT id, minute, expires_at, 0, 0, NULL FROM images"
                " WHERE state = 'received' AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.image_id = images.id)"
            )
            return given_back

        return self._database.purging(work)

    def delete(self, image_id: ImageId) -> bool:
        def work(connection: sqlite3.Connection, telling: bool) -> bool:
            connection.execute("DELETE FROM jobs WHERE image_id = ?", (image_id.raw,))
            connection.execute("DELETE FROM dead_letters WHERE image_id = ?", (image_id.raw,))
            connection.execute("DELETE FROM letters WHERE image_id = ?", (image_id.raw,))
            removed = connection.execute(
                "DELETE FROM images WHERE id = ? RETURNING id, source", (image_id.raw,)
            ).fetchall()
            if telling:
                tell_purged(connection, removed, self._clock.now())
            return bool(removed)

        return purging_and_telling(self._database, work)

    def due_minutes(self, through: Minute) -> list[Minute]:
        def work(connection: sqlite3.Connection) -> list[Minute]:
            tables = ("images", "jobs", "dead_letters", "letters", "reservations")
            found: set[int] = set()
            for table in tables:
                rows = connection.execute(
                    f"SELECT DISTINCT minute FROM {table} WHERE minute <= ?",  # noqa: S608 - the names above
                    (through,),
                )
                found.update(row[0] for row in rows)
            return [Minute(minute) for minute in sorted(found)]

        return self._database.read(work)

    def records(self, minute: Minute) -> list[ImageRecord]:
        rows = self._database.read(
            lambda connection: connection.execute(
                f"SELECT {COLUMNS} FROM images WHERE minute = ?",  # noqa: S608 - a fixed list of columns
                (minute,),
            ).fetchall()
        )
        return [record_of(row) for row in rows]

    def purge(self, minute: Minute) -> RecordsRemoved:
        def some_images(connection: sqlite3.Connection, telling: bool) -> list[tuple[bytes, str]]:
            removed = connection.execute(
                "DELETE FROM images WHERE id IN (SELECT id FROM images WHERE minute = ? LIMIT ?) RETURNING id, source",
                (minute, _PURGED_AT_ONCE),
            ).fetchall()
            if telling:
                tell_purged(connection, removed, self._clock.now())
            return removed

        def the_rest(connection: sqlite3.Connection) -> int:
            connection.execute("DELETE FROM dead_letters WHERE minute = ?", (minute,))
            connection.execute("DELETE FROM letters WHERE minute = ?", (minute,))
            connection.execute("DELETE FROM reservations WHERE minute = ?", (minute,))
            return connection.execute("DELETE FROM jobs WHERE minute = ?", (minute,)).rowcount

        jobs = self._database.purging(the_rest)
        counts = dict.fromkeys(Source, 0)
        while removed := purging_and_telling(self._database, some_images):
            for _, source in removed:
                counts[Source(source)] += 1
        return RecordsRemoved(counts[Source.HTTP], counts[Source.KAFKA], jobs)

    def scrub(self) -> None:
        self._database.scrub()

    def _holder(self, connection: sqlite3.Connection, key: bytes, asking: ImageId) -> ImageId | None:
        """Whose the key is, where it is not free. Whoever holds it may take it again: a replay meets itself."""
        row = connection.execute("SELECT image_id, until FROM reservations WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        holder, until, now = ImageId.from_bytes(row[0]), row[1], self._clock.now()
        if until is not None and until > now and holder != asking:
            raise InFlight("a request with this Idempotency-Key is under way; repeat it when it has ended")
        return holder if until is None and holder.expires_at > now else None

    def _refuse_due(self, image_id: ImageId) -> None:
        if self._clock.now() >= image_id.expires_at:
            raise Expired("the image has expired")

    def _add_job(self, connection: sqlite3.Connection, job: Job) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO jobs (image_id, minute, expires_at, visible_at, receive_count, receipt)"
            " VALUES (?, ?, ?, ?, 0, NULL)",
            (job.image_id.raw, job.image_id.expiry_minute, job.image_id.expires_at, self._clock.now()),
        )
