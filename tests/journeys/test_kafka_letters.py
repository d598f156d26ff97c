"""Records that cannot be taken leave letters: seen by people, pointed to by a topic, redriven when mended."""

import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from journeys.test_deadletters import deadletters
from support.pages import blocks
from support.pictures import ENCODED, gradient, noise
from support.server import MakeServer, Server, until
from support.topics import Message, Topics

CONFIG = """
kafka = "{bootstrap}"
topic = ["{topic}"]
kafka_group = "{topic}"
kafka_dead_letters = "{letters}"
max_pixels = {pixels}
max_bytes = {most}
"""


def letters(server: Server) -> dict[int, dict[str, Any]]:
    """Open letters by offset."""
    return {letter["offset"]: letter for letter in server.get("/v1/deadletters").json()["items"]}


def ends(server: Server) -> Counter[str]:
    """How many images of the stream there are in each state."""
    return Counter(one["state"] for one in server.get("/v1/images", params={"source": "kafka"}).json()["items"])


def redriven(server: Server, *filters: str, code: int = 0) -> dict[int, str]:
    results = deadletters(server, "redrive", *filters, code=code)["results"]
    return {int(one["key"].rpartition("/")[2]): one["result"] for one in results}


def told_of(server: Server, identity: str) -> list[str]:
    """The states that events tell of this image, up to the first that is processed."""
    headers = {"Last-Event-ID": "0"}
    with httpx.stream("GET", f"{server.url}/v1/events", headers=headers, timeout=60, trust_env=False) as stream:
        return list(_states(stream.iter_lines(), identity))


def _states(lines: Iterator[str], identity: str) -> Iterator[str]:
    for line in lines:
        event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
        if event.get("id") == identity:
            yield event["state"]
            if event["state"] == "processed":
                return


def test_what_died_is_redriven_once_its_cause_is_mended_and_keeps_its_birth(
    make_server: MakeServer, broker: Topics, small: bytes
) -> None:
    topic, graves = broker.create_topic(), broker.create_topic()
    tiny = ENCODED["image/png"](gradient(20, 15))
    heavy = ENCODED["image/png"](noise(300, 200))
    good, text, large, empty, overweight, broken = range(6)
    words, nothing = b"words, no image " * 20, Message(None, key=b"k")
    written = broker.produce(topic, tiny, words, small, nothing, heavy, tiny[:-40])

    def config(pixels: int, most: int) -> str:
        return CONFIG.format(bootstrap=broker.bootstrap, topic=topic, letters=graves, pixels=pixels, most=most)

    server = make_server(options=("--workers", "1"), config=config(1_000, len(heavy) - 1)).start()
    until(lambda: len(letters(server)) == 5, "the letters")
    found = letters(server)
    assert {offset: (one["reason"], one["kept"]) for offset, one in found.items()} == {
        text: ("unknown-type", True),
        large: ("too-many-pixels", True),
        empty: ("empty-body", False),
        overweight: ("too-large", False),
        broken: ("truncated", True),
    }
    assert {one["key"] for one in found.values()} == {f"{topic}/0/{offset}" for offset in found}
    until(lambda: len(broker.records(graves)) >= 5, "the dead-letter topic")
    pointers = {json.loads(record.value or b"")["key"]: record for record in broker.records(graves)}
    assert pointers.keys() == {one["key"] for one in found.values()}
    assert not any(b"words" in (record.value or b"") for record in pointers.values())
    until(lambda: ends(server) == {"processed": 1, "rejected": 3}, "the good one to be processed")
    (taken,) = server.get("/v1/images", params={"source": "kafka", "state": "processed"}).json()["items"]

    again = {text: "still-refused", large: "still-refused", empty: "nothing-kept", overweight: "nothing-kept"}
    again |= {broken: "redriven"}
    assert redriven(server, "--topic", topic, "--dry-run", code=1) == again
    assert redriven(server, "--all", code=1) == again
    until(lambda: broken in letters(server), "the broken image to die again")
    redrives = {text: 0, large: 0, empty: 0, overweight: 0, broken: 1}
    assert {offset: one["redrives"] for offset, one in letters(server).items()} == redrives

    assert server.stop() == 0
    broker.commit(topic, topic, {0: 0})
    server.config = config(100_000, len(heavy))
    server.start()
    until(lambda: overweight not in letters(server), "the record that was too large to be read again")
    until(lambda: broker.lag(topic, topic) == 0, "the replay")
    del redrives[overweight]
    assert {offset: one["redrives"] for offset, one in letters(server).items()} == redrives, "a replay meets itself"
    assert redriven(server, "--reason", "too-many-pixels") == {large: "redriven"}
    assert redriven(server, "--reason", "too-many-pixels") == {}, "it is under way, or done: not twice"
    identity = found[large]["image_id"]
    done = server.until_state(identity, "processed")
    assert done["expires_at"] == found[large]["expires_at"]
    assert (done["media_type"], done["bytes"]) == ("image/jpeg", len(small))
    assert told_of(server, identity) == ["rejected", "received", "processed"]
    until(lambda: ends(server) == {"processed": 3, "rejected": 2}, "each to be there once")
    assert written[good].timestamp == _ms(taken["received_at"])
    assert written[large].timestamp == _ms(done["received_at"])


def _ms(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1_000)


def test_the_two_commands_of_the_readme_take_a_folder_of_images_in(
    make_server: MakeServer, broker: Topics, small: bytes, tmp_path: Path
) -> None:
    topic = broker.create_topic()
    text = dict(blocks("sh"))["README.md:4"].replace("broker.example.org:9092", broker.bootstrap)
    serve, produce = text.replace("photos", topic).splitlines()
    options = re.fullmatch(r'make run ARGS="(.*)"', serve)
    assert options
    own = {"MAYFLY_KAFKA_GROUP": topic, "MAYFLY_KAFKA_DEAD_LETTERS": broker.create_topic()}
    server = make_server(options=(*options[1].split(), "--workers", "1"), environment=own).start()
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(small)
    program, *arguments = shlex.split(produce)
    assert program == ".venv/bin/mayfly"
    command = [sys.executable, "-m", "mayfly", *arguments]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60, capture_output=True)
    wanted = {"source": "kafka", "state": "processed"}
    (image,) = until(lambda: server.get("/v1/images", params=wanted).json()["items"], "the image")
    assert server.image(image["id"])["file_name"] == "beach.jpg"
