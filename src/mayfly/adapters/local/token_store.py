"""Tokens in SQLite, beside the records (see `database`)."""

import sqlite3

from mayfly.adapters.local.database import Database
from mayfly.model.errors import AlreadyExists, NotFound
from mayfly.model.instant import Ms
from mayfly.model.principal import Role
from mayfly.model.token import Token

_COLUMNS = "id, name, role, digest, created_at, expires_at, revoked_at"


class SqliteTokenStore:
    """Implements `ports.token_store.TokenStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, token: Token) -> None:
        row = (token.id, token.name, token.role, token.digest, token.created_at, token.expires_at, token.revoked_at)

        def work(connection: sqlite3.Connection) -> None:
            try:
                connection.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                raise AlreadyExists("there is a token of this id already") from None

        self._database.write(work)

    def all(self) -> list[Token]:
        rows = self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM tokens ORDER BY created_at, id"  # noqa: S608 - a fixed list of columns
            ).fetchall()
        )
        return [_token_of(row) for row in rows]

    def revoke(self, token_id: str, at: Ms) -> Token:
        def work(connection: sqlite3.Connection) -> Token:
            connection.execute("UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?", (at, token_id))
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM tokens WHERE id = ?",  # noqa: S608 - a fixed list of columns
                (token_id,),
            ).fetchone()
            if row is None:
                raise NotFound("there is no such token")
            return _token_of(row)

        return self._database.purging(work)

    def forget(self, ended_before: Ms) -> int:
        return self._database.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM tokens WHERE min(expires_at, coalesce(revoked_at, expires_at)) < ?", (ended_before,)
                ).rowcount
            )
        )


def _token_of(row: tuple[str, str, str, bytes, Ms, Ms, Ms | None]) -> Token:
    token_id, name, role, digest, created_at, expires_at, revoked_at = row
    return Token(token_id, name, Role(role), digest, created_at, expires_at, revoked_at)
