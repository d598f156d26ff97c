"""What older code left is opened by today's: every image is read, what was in hand is finished, and all of it dies.

The folders in tests/fixtures were each made by `scripts/make_fixture.py` and ended by kill -9. They are opened at the
time they were made, which `--clock FILE` gives them.
"""

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
import tarfile
import textwrap
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pyvips

from mayfly.adapters.local import formats
from support.server import MakeServer, Server, until

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures").glob("*.tar.xz"))
MINUTE, HOUR, WEEK = 60, 3_600, 7 * 86_400
assert FIXTURES
NAMES = [path.name.removesuffix(".tar.xz") for path in FIXTURES]
ORIGINS = {"image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff"}


def unpack(fixture: Path, folder: Path) -> dict[str, Any]:
    with tarfile.open(fixture) as tar:
        tar.extractall(folder, filter="tar")
    expected: dict[str, Any] = json.loads((folder / "expected.json").read_text())
    return expected


def at(server: Server, expected: dict[str, Any], seconds: float) -> None:
    """Move its clock to so long after the fixture was made."""
    server.move_clock(expected["clock_ms"] / 1_000 + seconds - time.time())


@pytest.fixture(params=FIXTURES, ids=NAMES)
def opened(request: pytest.FixtureRequest, make_server: MakeServer) -> tuple[Server, dict[str, Any]]:
    server = make_server(movable=True, options=("--workers", "1"))
    expected = unpack(request.param, server.folder)
    server.config = expected["config"]
    at(server, expected, MINUTE)
    return server.start(), expected


def sha256(server: Server, path: str) -> str:
    response = server.get(path)
    assert response.status_code == 200, response.text
    return hashlib.sha256(response.content).hexdigest()


def rows(server: Server) -> dict[str, int]:
    """How many rows about images there are, by table. The server is stopped."""
    with sqlite3.connect(server.data / "mayfly.db") as connection:
        return {
            table: connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("images", "jobs", "dead_letters", "letters", "reservations")
        }


def test_every_image_of_an_older_mayfly_is_read_as_it_was_and_then_dies(opened: tuple[Server, dict[str, Any]]) -> None:
    server, expected = opened
    for then in expected["images"]:
        now = server.image(then["id"])
        for name in then.keys() - {"renditions"}:
            assert now[name] == then[name], name
        for rendition in then["renditions"]:
            assert sha256(server, rendition["href"]) == rendition["sha256"]
            body = server.get(rendition["href"]).content
            picture = pyvips.Image.new_from_buffer(body, "")
            assert (picture.width, picture.height) == (rendition["width"], rendition["height"])
        if then["state"] != "rejected":
            assert sha256(server, f"/v1/images/{then['id']}/original") == then["sha256"]
    assert {image["media_type"] for image in expected["images"]} >= ORIGINS
    assert {image["state"] for image in expected["images"]} == {"processed", "failed", "rejected"}

    for then in expected["unfinished"]:
        now = server.until_state(then["id"], "processed")
        assert now["attempts"] == 1, "what was in hand was given back uncounted"
        assert sha256(server, f"/v1/images/{then['id']}/original") == then["sha256"]
    awaited = expected.get("awaited", [])
    assert [server.image(identity)["state"] for identity in awaited] == ["awaited"] * len(awaited)
    for identity in expected["erased"]:
        assert server.get(f"/v1/images/{identity}").status_code == 410

    first = expected["repeat"]
    body = server.get(f"/v1/images/{first['id']}/original").content
    again = server.post("/v1/images", content=body, headers={"Idempotency-Key": first["key"]})
    assert (again.status_code, again.json()["id"]) == (200, first["id"])

    (failed,) = [image["id"] for image in expected["images"] if image["state"] == "failed"]
    letters = expected.get("letters", [failed])  # older ones had no letters: the failed image gets one
    assert {letter["key"] for letter in server.get("/v1/deadletters").json()["items"]} == set(letters)
    assert server.post(f"/v1/images/{failed}/retry", json={}).status_code == 202
    server.until_state(failed, "processed")
    assert {letter["key"] for letter in server.get("/v1/deadletters").json()["items"]} == {*letters} - {failed}

    everything = [image["id"] for image in (*expected["images"], *expected["unfinished"])] + awaited
    at(server, expected, WEEK + 2 * MINUTE)
    until(lambda: not server.objects(), "every object to be swept")
    for identity in everything:
        assert server.get(f"/v1/images/{identity}").status_code == 410
    server.stop()
    assert rows(server) == dict.fromkeys(("images", "jobs", "dead_letters", "letters", "reservations"), 0)
    with sqlite3.connect(server.data / "mayfly.db") as connection:
        assert formats.format_of(connection) == formats.newest()


def test_what_fell_due_while_it_was_off_is_gone_before_it_is_ready(
    opened: tuple[Server, dict[str, Any]],
) -> None:
    server, expected = opened
    server.stop()
    at(server, expected, HOUR + 2 * MINUTE)
    server.start()
    hourly = [image["id"] for image in expected["images"] if lives(image) <= HOUR]
    assert hourly
    standing = server.objects()
    for identity in hourly:
        assert server.get(f"/v1/images/{identity}").status_code == 410
        assert not [name for name in standing if name.startswith(identity)]
    assert len({name.partition(".")[0] for name in standing}) >= 5


def lives(image: dict[str, Any]) -> float:
    """Seconds from birth to death."""
    birth, death = (datetime.fromisoformat(image[name]) for name in ("received_at", "expires_at"))
    return (death - birth).total_seconds()


KILLED = """
    import os, signal, sqlite3, sys
    from mayfly.adapters.local import formats

    scripts = dict(formats._scripts())
    newest = max(scripts) + 1
    scripts[newest] = "CREATE TABLE halfway (a INTEGER); INSERT INTO halfway SELECT zeroblob(4096) FROM images;" \\
        "UPDATE images SET reason = 'changed'; SELECT die();"
    formats._scripts = lambda: scripts
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA cache_size = 1")  # so that what is not committed is on the disk already
    connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    formats.migrate(connection)
"""


def test_a_migration_that_was_killed_leaves_what_was_there(
    opened: tuple[Server, dict[str, Any]],
) -> None:
    server, expected = opened
    server.stop()
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(server.data / "mayfly.db")])
    assert ended.returncode == -signal.SIGKILL
    server.start()
    for then in expected["images"]:
        assert server.image(then["id"])["reason"] == then["reason"]
