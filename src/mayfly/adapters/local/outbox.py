"""Events as rows, written by the transaction of the change they tell of."""

import json
import sqlite3
from collections.abc import Callable, Iterable
from typing import TypeVar

from mayfly.adapters.local.database import Database
from mayfly.model.errors import StorageFull
from mayfly.model.event import TOLD
from mayfly.model.image import ImageRecord
from mayfly.model.instant import Ms
from mayfly.model.lifecycle import State

T = TypeVar("T")

_INSERT = "INSERT INTO events (image_id, state, reason, at, source, renditions) VALUES (?, ?, ?, ?, ?, ?)"


def tell(connection: sqlite3.Connection, record: ImageRecord, at: Ms) -> None:
    """The record came to its state, within this transaction. A state that nobody is told of is passed over."""
    if record.state in TOLD:
        names = json.dumps([rendition.name for rendition in record.renditions])
        row = (record.id.raw, record.state, record.reason, at, record.source, names)
        connection.execute(_INSERT, row)


def tell_purged(connection: sqlite3.Connection, purged: Iterable[tuple[bytes, str]], at: Ms) -> None:
    """These images, by id and source, are purged by this transaction."""
    connection.executemany(_INSERT, ((raw, State.PURGED, None, at, source, "[]") for raw, source in purged))


def purging_and_telling(database: Database, work: Callable[[sqlite3.Connection, bool], T]) -> T:
    """`database.purging(work)`. `work` is told whether it is to tell: where even the reserve leaves no room for an
    event, the purge is made without it. What has to die dies; who was to hear of it learns it from the 410."""
    try:
        return database.purging(lambda connection: work(connection, True))
    except StorageFull:
        return database.purging(lambda connection: work(connection, False))
