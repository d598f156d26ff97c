"""Recipes change; what was made by the old ones is made anew, and nothing lives longer by it."""

import json
import subprocess
import sys
from typing import Any

import pytest

from support.door import assert_problem
from support.server import MakeServer, Server, until

RECIPES = """
[renditions.small]
steps = ["orient", {{resize = {{width = {side}, height = {side}}}}}, {{encode = {{format = "{kind}"}}}}]

[renditions.same]
steps = ["orient", {{resize = {{width = 32, height = 32}}}}, {{encode = {{format = "png"}}}}]
"""


def mayfly(server: Server, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "mayfly", *arguments, "--json", "--url", server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_after_a_change_of_recipes_only_what_is_outdated_is_made_anew(make_server: MakeServer, small: bytes) -> None:
    server = make_server(options=("--workers", "1"), config=RECIPES.format(side=48, kind="webp")).start()
    ids = [server.upload(small)["id"] for _ in range(3)]
    before = {identity: server.until_state(identity, "processed") for identity in ids}
    assert mayfly(server, "reprocess") == {"examined": 3, "outdated": 0, "reopened": 0}
    assert server.stop() == 0

    server.config = RECIPES.format(side=24, kind="jpeg") + RECIPES.format(side=24, kind="png").replace(
        "s.s", "s.more_s"
    )
    server.start()
    href = before[ids[0]]["renditions"][0]["href"]
    assert server.get(href).headers["content-type"] == "image/webp"
    assert mayfly(server, "reprocess", "--dry-run") == {"examined": 3, "outdated": 3, "reopened": 0}
    assert {server.image(identity)["state"] for identity in ids} == {"processed"}
    assert mayfly(server, "reprocess", ids[0]) == {"examined": 1, "outdated": 1, "reopened": 1}
    server.until_state(ids[0], "processed")
    assert mayfly(server, "reprocess", "--state", "processed") == {"examined": 3, "outdated": 2, "reopened": 2}

    for identity in ids:
        old, new = before[identity], server.until_state(identity, "processed")
        assert (new["expires_at"], new["attempts"]) == (old["expires_at"], 1)
        made = {one["name"]: (one["media_type"], one["width"]) for one in new["renditions"]}
        assert made == {
            "small": ("image/jpeg", 24),
            "same": ("image/png", 32),
            "more_small": ("image/png", 24),
            "more_same": ("image/png", 32),
        }
        for one in new["renditions"]:
            answer = server.get(one["href"])
            assert (answer.headers["content-type"], len(answer.content)) == (one["media_type"], one["bytes"])
    until(lambda: len(server.objects()) == 3 * 5, "the replaced renditions to go")
    assert mayfly(server, "reprocess") == {"examined": 3, "outdated": 0, "reopened": 0}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", ["JSON"]),
        (b"[]", ["dictionary"]),
        (b'{"states": "failed"}', ["states"]),
        (b'{"state": "rejected"}', ["failed, processed"]),
        (b'{"received_from": "yesterday"}', ["RFC 3339"]),
        (b'{"cursor": "AAAA"}', ["cursor"]),
        (b'{"ids": [], "state": "failed"}', ["stands alone"]),
        (b'{"ids": [' + b",".join([b'"x"'] * 101) + b"]}", ["ids"]),
        (b'{"source": "' + b"x" * 20_000 + b'"}', ["16384"]),
    ],
)
def test_a_wish_that_cannot_be_read_is_refused(door: Server, body: bytes, says: list[str]) -> None:
    response = door.post("/v1/reprocess", content=body, headers={"Content-Type": "application/json"})
    assert_problem(response, 400, "invalid-request", *says)


def test_only_json_reprocesses(door: Server) -> None:
    assert_problem(door.post("/v1/reprocess", content=b"{}"), 415, "json-only")
    headers = {"Content-Type": "application/json"}
    answer = door.post("/v1/reprocess", content=b'{"ids": []}', headers=headers)
    assert answer.json() == {"examined": 0, "outdated": 0, "reopened": 0, "next_cursor": None}
