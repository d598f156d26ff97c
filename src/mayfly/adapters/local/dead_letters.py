"""Dead letters in SQLite: rows that the metadata store writes, and those for which nothing was kept."""

import json
import sqlite3
from collections.abc import Collection, Mapping

from mayfly.adapters.local.database import Database
from mayfly.adapters.local.letters import COLUMNS, insert_letter, letter_of
from mayfly.model.errors import Expired
from mayfly.model.instant import Ms, minute_end
from mayfly.model.stream import Letter, Partition
from mayfly.ports.clock import Clock
from mayfly.ports.dead_letters import LettersWanted


class SqliteDeadLetters:
    """Implements `ports.dead_letters.DeadLetters` and `LettersStanding`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def note(self, letter: Letter) -> Letter:
        def work(connection: sqlite3.Connection) -> Letter:
            if self._clock.now() >= minute_end(letter.minute):
                raise Expired("the minute of this dead letter has ended; nothing is remembered")
            stands = _find(connection, letter.key)
            if stands is None:
                insert_letter(connection, letter)
            return stands or letter

        return self._database.write(work)

    def letter(self, key: str) -> Letter | None:
        return self._database.read(lambda connection: _find(connection, key, "AND open AND expires_at > ?", self._now))

    def letters(self, wanted: LettersWanted) -> list[Letter]:
        bounds: list[tuple[str, object]] = [("expires_at > ?", self._now)]
        if wanted.after is not None:
            bounds.append(("key > ?", wanted.after))
        if wanted.reason is not None:
            bounds.append(("reason = ?", wanted.reason))
        if wanted.topic is not None:
            bounds.append(("topic = ?", wanted.topic))
        if wanted.partition is not None:
            bounds.append(("partition = ?", wanted.partition))
        if wanted.died_from is not None:
            bounds.append(("died_at >= ?", wanted.died_from))
        if wanted.died_to is not None:
            bounds.append(("died_at < ?", wanted.died_to))
        return self._select(
            "".join(f" AND {condition}" for condition, _ in bounds) + " ORDER BY key LIMIT ?",
            (*(value for _, value in bounds), wanted.limit),
        )

    def unpublished(self, limit: int, partitions: Collection[Partition] | None = None) -> list[Letter]:
        # The conditions of the index `letters_to_publish`, word for word.
        conditions, values = " AND NOT published AND NOT failed AND topic IS NOT NULL AND expires_at > ?", [self._now]
        places: list[str] = []
        if partitions is not None:
            conditions += (
                " AND (topic, partition) IN"
                " (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))"
            )
            places = [json.dumps([(one.topic, one.number) for one in partitions])]
        return self._select(f"{conditions} ORDER BY died_at, key LIMIT ?", (*values, *places, limit))

    def published(self, key: str, died_at: Ms) -> None:
        self._database.write(
            lambda connection: (
                connection.execute(
                    "UPDATE letters SET published = 1 WHERE key = ? AND died_at = ?", (key, died_at)
                ).rowcount
            )
        )

    def bounds(self, topic: str) -> Mapping[Partition, int]:
        rows = self._database.read(
            lambda connection: connection.execute(
                'SELECT partition, min("offset") FROM letters'
                " WHERE open AND topic = ? AND expires_at > ? GROUP BY partition",
                (topic, self._now),
            ).fetchall()
        )
        return {Partition(topic, number): offset for number, offset in rows}

    def standing(self) -> int:
        # The conditions of the index `letters_by_place`, word for word: it answers alone, without a look at the rows.
        query = "SELECT count(*) FROM letters INDEXED BY letters_by_place WHERE open AND topic IS NOT NULL"
        (count,) = self._database.read(lambda connection: connection.execute(query).fetchone())
        return int(count)

    @property
    def _now(self) -> Ms:
        return self._clock.now()

    def _select(self, tail: str, values: tuple[object, ...]) -> list[Letter]:
        # The tail is made of fixed texts; every value is bound.
        query = f"SELECT {COLUMNS} FROM letters WHERE open{tail}"  # noqa: S608
        rows = self._database.read(lambda connection: connection.execute(query, values).fetchall())
        return [letter_of(row) for row in rows]


def _find(connection: sqlite3.Connection, key: str, also: str = "", *values: object) -> Letter | None:
    query = f"SELECT {COLUMNS} FROM letters WHERE key = ? {also}"  # noqa: S608 - fixed texts
    row = connection.execute(query, (key, *values)).fetchone()
    return None if row is None else letter_of(row)
