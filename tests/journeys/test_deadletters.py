"""What could not be processed leaves a letter, through a real server: seen, redriven, closed, gone with its image."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.door import assert_problem
from support.server import WEEK_SECONDS, MakeServer, Server

STEP = """
attempts = 1

[renditions.own]
steps = [{{run = ["{program}"]}}, {{encode = {{format = "png"}}}}]
"""


def deadletters(server: Server, *arguments: str, code: int = 0) -> Any:
    command = [sys.executable, "-m", "mayfly", "deadletters", *arguments, "--json", "--url", server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done
    return json.loads(done.stdout)


def keys(server: Server) -> list[str]:
    return [letter["key"] for letter in deadletters(server, "ls")["items"]]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A step that fails until it is mended."""
    path = tmp_path / "step"
    path.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def mend(program: Path) -> None:
    program.write_text("#!/bin/sh\nexec cat\n", encoding="utf-8")


def test_a_failed_image_leaves_a_letter_that_a_redrive_or_a_retry_closes(
    make_server: MakeServer, program: Path, small: bytes
) -> None:
    server = make_server(options=("--workers", "1"), config=STEP.format(program=program)).start()
    ids = sorted(server.upload(small)["id"] for _ in range(3))
    before = {identity: server.until_state(identity, "failed") for identity in ids}
    found = server.get("/v1/deadletters", params={"reason": "step-failed"}).json()
    assert found["next_cursor"] is None
    assert [letter["key"] for letter in found["items"]] == ids
    first = found["items"][0]
    assert {first.pop("died_at")[:2], first.pop("key")} == {"20", ids[0]}
    assert first == {
        "source": "http",
        "topic": None,
        "partition": None,
        "offset": None,
        "image_id": ids[0],
        "reason": "step-failed",
        "redrives": 0,
        "expires_at": before[ids[0]]["expires_at"],
        "kept": True,
    }
    assert deadletters(server, "ls", "--reason", "corrupt") == {"items": []}
    assert deadletters(server, "ls", "--topic", "images") == {"items": []}
    assert [letter["key"] for letter in deadletters(server, "ls", "--limit", "2")["items"]] == ids[:2]

    told = deadletters(server, "redrive", "--all", "--dry-run")
    assert told["counts"] == {"redriven": 3}
    assert keys(server) == ids, "a dry run changes nothing"
    assert {server.image(identity)["state"] for identity in ids} == {"failed"}

    assert deadletters(server, "redrive", "--reason", "step-failed", "--limit", "1")["counts"] == {"redriven": 1}
    server.until_state(ids[0], "failed")
    again = deadletters(server, "ls")["items"]
    assert [(letter["key"], letter["redrives"]) for letter in again] == [(ids[0], 1), (ids[1], 0), (ids[2], 0)]

    mend(program)
    assert server.post(f"/v1/images/{ids[1]}/retry").status_code == 202
    server.until_state(ids[1], "processed")
    assert keys(server) == [ids[0], ids[2]]
    done = deadletters(server, "redrive", "--all")
    assert [(result["key"], result["result"]) for result in done["results"]] == [
        (ids[0], "redriven"),
        (ids[2], "redriven"),
    ]
    for identity in ids:
        after = server.until_state(identity, "processed")
        assert (after["received_at"], after["expires_at"]) == (
            before[identity]["received_at"],
            before[identity]["expires_at"],
        )
    assert keys(server) == []
    assert deadletters(server, "redrive", "--all") == {"results": [], "counts": {}}


def test_what_comes_back_again_and_again_is_left_alone_until_it_is_forced(
    make_server: MakeServer, program: Path, small: bytes
) -> None:
    server = make_server(options=("--workers", "1"), config=STEP.format(program=program)).start()
    identity = server.upload(small)["id"]
    server.until_state(identity, "failed")
    for _ in range(3):
        assert deadletters(server, "redrive", "--all")["counts"] == {"redriven": 1}
        server.until_state(identity, "failed")
    assert deadletters(server, "redrive", "--all", code=1)["counts"] == {"too-often": 1}
    assert server.image(identity)["state"] == "failed"
    mend(program)
    assert deadletters(server, "redrive", "--all", "--force")["counts"] == {"redriven": 1}
    server.until_state(identity, "processed")


def test_a_letter_goes_with_its_image(make_server: MakeServer, program: Path, small: bytes) -> None:
    server = make_server(movable=True, options=("--workers", "1"), config=STEP.format(program=program)).start()
    erased, due = (server.upload(small)["id"] for _ in range(2))
    for identity in (erased, due):
        server.until_state(identity, "failed")
    assert server.request("DELETE", f"/v1/images/{erased}").status_code == 204
    assert keys(server) == [due]
    server.move_clock(WEEK_SECONDS)
    assert keys(server) == []


def test_without_a_filter_nobody_redrives_everything_by_accident(door: Server) -> None:
    command = [sys.executable, "-m", "mayfly", "deadletters", "redrive", "--limit", "5", "--url", door.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "or --all" in done.stderr


@pytest.mark.parametrize("query", ["state=failed", "limit=0", "cursor=AAAA", "partition=x", "died_to=soon"])
def test_what_does_not_read_as_a_filter_is_refused(door: Server, query: str) -> None:
    assert_problem(door.get(f"/v1/deadletters?{query}"), 400, "invalid-request")


def test_half_a_character_is_no_filter(door: Server) -> None:
    body, headers = b'{"reason": "\\ud800"}', {"Content-Type": "application/json"}
    assert_problem(door.post("/v1/deadletters/redrive", content=body, headers=headers), 400, "invalid-request", "JSON")
