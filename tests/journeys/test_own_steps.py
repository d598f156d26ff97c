"""Steps of the user's own in the life of an image: real programs, real endpoints, and all that goes wrong with them."""

import json
import subprocess
import sys
import threading
from typing import Any

import pyvips

from support.door import stored_bytes
from support.server import MakeServer, Server
from support.sidecar import Sidecar, echo


def picture(width: int) -> bytes:
    image = pyvips.Image.black(width, 40).bandjoin([200, 30]).copy(interpretation="srgb")
    data: bytes = image.pngsave_buffer()
    return data


def mayfly(server: Server, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "mayfly", *arguments, "--json", "--url", server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_an_endpoint_that_is_slow_wrong_or_gone_costs_attempts_and_never_an_image(make_server: MakeServer) -> None:
    bodies = {name: picture(50 + number) for number, name in enumerate(("slow", "wrong", "cut", "unwilling", "good"))}
    names = {body: name for name, body in bodies.items()}
    ended, seen = threading.Event(), set[str]()

    def behave(body: bytes) -> tuple[int, bytes]:
        match names[body]:
            case "slow" if "slow" not in seen:
                seen.add("slow")
                ended.wait(60)
                return echo(body)
            case "wrong":
                return 200, b"this is no picture"
            case "cut":
                return 200, body[:-20]
            case "unwilling":
                return 422, b""
            case _:
                return echo(body)

    with Sidecar(behave) as sidecar:
        recipe = f'steps = [{{http = "{sidecar.url}", timeout = 2}}, {{encode = {{format = "webp"}}}}]'
        server = make_server(
            options=("--workers", "2"), config=f"attempts = 2\n[renditions.mine]\n{recipe}\n[renditions.bare]\n{recipe}"
        ).start()
        ids = {name: server.upload(body)["id"] for name, body in bodies.items()}
        ends = {name: server.until_state(one, "processed", "failed", "rejected") for name, one in ids.items()}
        found = {name: (image["state"], image["attempts"], image["reason"]) for name, image in ends.items()}
        assert found == {
            "slow": ("processed", 2, None),
            "wrong": ("failed", 2, "step-output-unknown"),
            "cut": ("failed", 2, "step-output-truncated"),
            "unwilling": ("rejected", 1, "step-rejected"),
            "good": ("processed", 1, None),
        }
        ended.set()
    gone = server.upload(picture(80))["id"]
    image = server.until_state(gone, "failed")
    assert (image["attempts"], image["reason"]) == (2, "step-unreachable")

    with Sidecar(port=sidecar.port):
        assert mayfly(server, "reprocess", "--state", "failed") == {"examined": 3, "outdated": 3, "reopened": 3}
        for identity in (gone, ids["wrong"], ids["cut"]):
            assert server.until_state(identity, "processed", "failed")["state"] == "processed"


PROGRAM = """#!/bin/sh
test "$MAYFLY_MEDIA_TYPE" = image/png || exit 1
printf '{"plate": "canary-of-plates"}' > "$MAYFLY_FACTS"
cat
"""


def test_changed_code_makes_renditions_outdated_and_the_old_ones_are_served_until_the_new_ones_are_there(
    make_server: MakeServer, small: bytes
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def behave(body: bytes) -> tuple[int, bytes]:
        began.set()
        go_on.wait(60)
        return echo(body)

    with Sidecar(facts='{"cars": 3}') as sidecar:
        server = make_server(options=("--workers", "1"))
        program = server.folder / "look"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        server.config = _config(sidecar, side=32)
        server.start()
        identity = server.upload(small)["id"]
        before = server.until_state(identity, "processed")
        assert [kind for kind, _ in sidecar.given] == ["image/png"]
        assert before["facts"]["steps"] == {"mine": {"cars": 3}}
        assert before["personal_facts"] == {"mine": {"plate": "canary-of-plates"}}
        assert b"canary-of-plates" not in stored_bytes(server)
        assert "personal_facts" not in server.get("/v1/images").json()["items"][0]
        old = _fetched(server, before)
        assert (old["mine"][0], old["plain"][0]) == ("image/webp", "image/webp")
        assert server.stop() == 0

        program.write_text(PROGRAM.replace("canary", "robin"))
        server.start()
        assert mayfly(server, "reprocess", "--dry-run") == {"examined": 1, "outdated": 1, "reopened": 0}
        sidecar.behave = behave
        assert mayfly(server, "reprocess")["reopened"] == 1
        assert began.wait(60)
        meanwhile = server.image(identity)
        assert (meanwhile["state"], meanwhile["attempts"]) == ("processing", 1)
        assert meanwhile["personal_facts"] == before["personal_facts"]
        assert _fetched(server, meanwhile) == old
        go_on.set()
        after = server.until_state(identity, "processed")
    assert after["expires_at"] == before["expires_at"]
    assert after["personal_facts"] == {"mine": {"plate": "robin-of-plates"}}
    assert after["facts"]["steps"] == {"mine": {"cars": 3}}
    assert _fetched(server, after) == old, "the same pixels came back"
    assert mayfly(server, "reprocess")["outdated"] == 0


def _config(sidecar: Sidecar, side: int) -> str:
    resize, encode = f"{{resize = {{width = {side}, height = {side}}}}}", '{encode = {format = "webp"}}'
    endpoint = f'{{http = "{sidecar.url}", timeout = 90, facts = "fact"}}'
    return (
        f'[renditions.mine]\nsteps = ["orient", {resize}, {{run = ["./look"], timeout = 20}}, {endpoint}, {encode}]\n'
        f'[renditions.plain]\nsteps = ["orient", {resize}, {encode}]\n'
    )


def _fetched(server: Server, image: dict[str, Any]) -> dict[str, tuple[str, bytes]]:
    answers = {one["name"]: server.get(one["href"]) for one in image["renditions"]}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {name: (answer.headers["content-type"], answer.content) for name, answer in answers.items()}
