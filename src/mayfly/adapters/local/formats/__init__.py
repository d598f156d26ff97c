"""The database's formats, one script each: `0002.sql` makes format 2 out of format 1. A script that was released is
never changed; what comes next is a script of its own."""

import sqlite3
from importlib import resources

APPLICATION_ID = 0x4D594659


def newest() -> int:
    """The format that this Mayfly reads and writes."""
    return max(_scripts())


def format_of(connection: sqlite3.Connection) -> int:
    """0: an empty database."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def migrate(connection: sqlite3.Connection) -> bool:
    """Bring the database to the newest format, in one transaction: after a crash it is in the old one or in the new
    one. False: it was there already."""
    held = format_of(connection)
    scripts = [script for number, script in sorted(_scripts().items()) if number > held]
    if not scripts:
        return False
    connection.executescript(
        "BEGIN IMMEDIATE;\n"
        + "\n".join(scripts)
        + f"\nPRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {newest()};\nCOMMIT;"
    )
    return True


def _scripts() -> dict[int, str]:
    return {
        int(file.name.removesuffix(".sql")): file.read_text(encoding="utf-8")
        for file in resources.files(__name__).iterdir()
        if file.name.endswith(".sql")
    }
