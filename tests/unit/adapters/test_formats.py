"""Databases of older formats are brought to the newest one; newer ones are refused."""

import sqlite3
from pathlib import Path

import pytest

from mayfly.adapters.local import formats
from mayfly.adapters.local.database import Database
from mayfly.model.errors import Misconfigured

SCRIPTS = {
    1: "CREATE TABLE one (a INTEGER);",
    2: "ALTER TABLE one ADD COLUMN b INTEGER DEFAULT 7;",
    3: "CREATE TABLE three (c INTEGER);",
}


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    """A database of format 1 with a row in it."""
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    monkeypatch.setattr(formats, "_scripts", lambda: {1: SCRIPTS[1]})
    assert formats.migrate(connection)
    connection.execute("INSERT INTO one VALUES (5)")
    return connection


def test_each_format_is_made_out_of_the_one_before(
    database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "_scripts", lambda: SCRIPTS)
    assert formats.migrate(database)
    assert formats.format_of(database) == 3
    assert database.execute("SELECT a, b FROM one").fetchall() == [(5, 7)]
    assert not formats.migrate(database)


def test_a_migration_that_fails_changes_nothing(database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_scripts", lambda: {**SCRIPTS, 4: "CREATE TABLE one (again INTEGER);"})
    with pytest.raises(sqlite3.OperationalError):
        formats.migrate(database)
    database.execute("ROLLBACK")
    assert formats.format_of(database) == 1
    assert [row[0] for row in database.execute("SELECT name FROM sqlite_master")] == ["one"]


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mayfly.db"
    Database(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {formats.newest() + 1}")
    connection.close()
    with pytest.raises(Misconfigured, match="upgrade Mayfly"):
        Database(path)


def test_every_format_has_its_script() -> None:
    assert sorted(formats._scripts()) == list(range(1, formats.newest() + 1))
