"""Records whose bytes have not come: for the metadata store, one function a method."""

import sqlite3

from mayfly.adapters.local.database import Database
from mayfly.adapters.local.outbox import purging_and_telling, tell_purged
from mayfly.model.errors import AlreadyExists, NotFound
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord
from mayfly.model.instant import Ms
from mayfly.model.lifecycle import State
from mayfly.ports.clock import Clock

_LAPSED_AT_ONCE = 500
"""Rows removed in one transaction, so that the pages it needs on a full disk fit the reserve."""


def fulfil(connection: sqlite3.Connection, record: ImageRecord) -> None:
    """Inside a transaction: the record takes the place of the one that awaited it.

    Raises:
        NotFound, AlreadyExists: it is not awaited; nothing changed.
    """
    # One conditional write: of two posts of one form, the second finds the image awaited no more.
    taken = connection.execute(
        "UPDATE images SET state = ?, media_type = ?, size = ?, sealed = ? WHERE id = ? AND state = 'awaited'",
        (record.state, record.media_type, record.size, record.sealed, record.id.raw),
    ).rowcount
    if taken:
        return
    if connection.execute("SELECT 1 FROM images WHERE id = ?", (record.id.raw,)).fetchone() is None:
        raise NotFound("no such image")
    raise AlreadyExists("the bytes of this image came before, and they stay")


def lapse(database: Database, born_before: Ms, clock: Clock) -> list[ImageId]:
    bound = ImageId.first_born_at(born_before).raw

    def any_left(connection: sqlite3.Connection) -> bool:
        query = "SELECT 1 FROM images WHERE state = 'awaited' AND id < ? LIMIT 1"
        return connection.execute(query, (bound,)).fetchone() is not None

    def remove_some(connection: sqlite3.Connection, telling: bool) -> list[tuple[bytes, str]]:
        removed = connection.execute(
            "DELETE FROM images WHERE id IN (SELECT id FROM images WHERE state = 'awaited' AND id < ? LIMIT ?)"
            " RETURNING id, source",
            (bound, _LAPSED_AT_ONCE),
        ).fetchall()
        if telling:
            tell_purged(connection, removed, clock.now())
        return removed

    lapsed: list[ImageId] = []
    # Asked first: where nothing is to go, which is nearly always, no transaction is paid for.
    while database.read(any_left):
        lapsed += [ImageId.from_bytes(raw) for raw, _ in purging_and_telling(database, remove_some)]
    return lapsed


def count(database: Database, state: State) -> int:
    def work(connection: sqlite3.Connection) -> int:
        found: int = connection.execute("SELECT count(*) FROM images WHERE state = ?", (state,)).fetchone()[0]
        return found

    return database.read(work)
