"""Every example that stands on a page works: shell blocks are run against a real server, settings are read, answers in
JSON are such answers. `RUN_BY` tells who runs the others; what steps make is held by `tests/unit/test_steps_docs.py`.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mayfly.settings import Settings
from support.pages import ROOT, blocks, kinds
from support.pictures import gif
from support.server import Server
from support.tokens import made_token

SHELL = dict(blocks("sh"))
TOML = dict(blocks("toml"))

ELSEWHERE = {
    "README.md:1": "make: this very run, and the demo's own tests",
    "README.md:4": "a broker; test_kafka_letters.py runs both lines",
    "CONTRIBUTING.md:1": "make: this very run",
    "docs/howto/kafka-topics.md:1": "a broker; test_doctor_topics.py",
    "docs/howto/kafka-topics.md:2": "a broker; test_doctor_topics.py",
    "docs/howto/kafka.md:1": "a package index and a broker; test_kafka.py starts one",
    "docs/howto/kafka.md:2": "a broker that grants rights; test_kafka_security.py",
    "docs/howto/kafka.md:3": "a broker that grants rights; test_kafka_security.py",
    "docs/howto/kafka.md:4": "a broker; test_kafka.py starts one",
    "docs/howto/reach-it-from-elsewhere.md:1": "ssh to another machine",
    "docs/howto/reach-it-from-elsewhere.md:3": "another machine's name; test_reach.py runs it, led here",
    "docs/howto/reach-it-from-elsewhere.md:4": "another machine's name; test_reach.py runs it, led here",
    "docs/howto/reach-it-from-elsewhere.md:5": "asks for a certificate; test_reach.py starts it",
    "docs/howto/run-as-a-service.md:1": "root, in /opt; test_wheel.py installs the wheel",
    "docs/howto/run-as-a-service.md:2": "root, and systemd; test_service.py starts what the unit starts",
    "docs/reference/cli.md:2": "a broker; test_kafka.py starts one",
    "docs/reference/cli.md:20": "a broker; test_doctor_topics.py",
    "docs/reference/cli.md:21": "the demo has tests of its own",
    "examples/kafka/README.md:1": "a broker's own start; test_kafka_example.py starts one with these settings",
    "examples/kafka/README.md:2": "a broker; test_kafka_example.py",
    "examples/kafka/README.md:3": "a broker; test_kafka_example.py",
    "examples/kafka/README.md:4": "a broker; test_kafka_example.py",
    "examples/kafka/README.md:5": "a broker; test_kafka_example.py",
    "examples/steps/README.md:1": "test_own_steps_confined.py runs it",
}
"""Where what stands in a block is run instead, or why it cannot be."""

RUN_BY = {
    ("caddy", "docs/howto/reach-it-from-elsewhere.md"): "journeys/test_proxies.py",
    ("html", "docs/howto/direct-upload.md"): "browser/test_upload_form.py",
    # Put beneath the unit, and read by systemd's own check where there is one.
    ("ini", "docs/howto/run-as-a-service.md"): "unit/test_service_unit.py",
    ("js", "docs/howto/direct-upload.md"): "browser/test_upload_form.py",
    ("nginx", "docs/howto/reach-it-from-elsewhere.md"): "journeys/test_proxies.py",
    ("properties", "docs/howto/kafka-topics.md"): "journeys/test_doctor_topics.py",
    ("python", "docs/howto/direct-upload.md"): "journeys/test_upload_form.py",
    ("python", "docs/howto/kafka-events.md"): "journeys/test_kafka_events.py",
    ("python", "docs/howto/own-steps.md"): "journeys/test_own_steps_confined.py",
    ("python", "docs/howto/use-from-python.md"): "journeys/test_client.py",
    # Signatures, compared with the client's own.
    ("python", "docs/reference/client.md"): "unit/client/test_docs.py",
    ("yaml", "docs/reference/metrics.md"): "journeys/test_scrape.py",
}
"""Who runs what is neither shell, settings nor an answer, by its language and page."""

CODES = {
    # An image that was processed is not to be retried, and is told so.
    "docs/reference/cli.md:8": 1,
    "docs/reference/http.md:10": 22,
    # KEY and POLICY stand for a form's own: 403, and curl's code for that.
    "docs/reference/http.md:3": 22,
    # Streams until it is cut.
    "docs/reference/http.md:5": 28,
}
"""Exit codes other than 0."""

TOKEN_ID = "qvn4kqhssh"

# curl shows what went wrong and says 0: here it has to fail, and no stream may go on for ever.
CURL = """#!/bin/sh
case "$1" in -f*) ;; *) set -- --fail-with-body "$@" ;; esac
exec {curl} --max-time 3 --silent --show-error "$@"
"""


def test_every_table_of_settings_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    (tmp_path / "steps").mkdir()
    for name in ("steps/tint.py", "steps/frame"):
        (tmp_path / name).write_bytes((ROOT / "examples/steps/tint.py").read_bytes())
        (tmp_path / name).chmod(0o755)
    (tmp_path / "logo.png").write_bytes((ROOT / "docs/images/steps/logo.png").read_bytes())
    assert len(TOML) > 20
    for place, text in TOML.items():
        if "entry-points" in text:
            assert tomllib.loads(text), place
            continue
        path = tmp_path / "mayfly.toml"
        path.write_text(text, encoding="utf-8")
        settings = Settings.load(path, {}, {})
        assert set(tomllib.loads(text)) <= {name for name, origin in settings.origins.items() if origin != "default"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the examples speak of, and its programs in front of all others."""
    import pyvips

    folder = tmp_path_factory.mktemp("workspace")
    programs = folder / ".bin"
    programs.mkdir()
    curl = subprocess.run(["sh", "-c", "command -v curl"], capture_output=True, text=True, check=True).stdout.strip()
    for name, text in (
        ("curl", CURL.format(curl=curl)),
        ("mayfly", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mayfly "$@"\n'),
    ):
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    picture = pyvips.Image.xyz(64, 48)[0].bandjoin([128, 200]).cast("uchar").copy(interpretation="srgb")
    (folder / "photo.jpg").write_bytes(picture.jpegsave_buffer())
    (folder / "picture.png").write_bytes(picture.pngsave_buffer())
    (folder / "holiday").mkdir()
    (folder / "holiday" / "beach.jpg").write_bytes(picture.fliphor().jpegsave_buffer())
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    labels = '[labels]\ncamera = "fact"\ncustomer = "personal"\n'
    server = Server(tmp_path_factory.mktemp("house"), options=("--workers", "1"), config=labels)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="module")
def token(house: Server) -> dict[str, Any]:
    return made_token(house, "operator")


def at_home(text: str, server: Server, workspace: Path, identity: str, token_id: str) -> str:
    """The block as a reader would have it: with an image's id of theirs, a token's, and their server's address."""
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", identity, text)
    text = text.replace("http://127.0.0.1:8080", server.url).replace(TOKEN_ID, token_id)
    text = text.replace(".venv/bin/mayfly", "mayfly").replace("/tmp/facts.json", str(workspace / "facts.json"))
    # A server in the foreground: it is told to end as soon as it has said where it is.
    return re.sub(
        r"^(mayfly up\b.*)$",
        r"rm -f up.txt; \1 --port 0 > up.txt & until [ -s up.txt ]; do sleep 0.1; done; kill $!; wait $!",
        text,
    )


@pytest.mark.parametrize("place", [place for place in SHELL if place not in ELSEWHERE])
def test_every_shell_block_does_what_it_says(
    place: str, house: Server, workspace: Path, small: bytes, token: dict[str, Any]
) -> None:
    identity = house.upload(small)["id"]
    house.until_state(identity, "processed")
    environment = {
        "PATH": f"{workspace / '.bin'}:{os.environ['PATH']}",
        "HOME": str(workspace),
        "URL": house.url,
        "ID": identity,
        "TOKEN": token["token"],
        "KEY": "key",
        "POLICY": "policy",
        "MAYFLY_URL": house.url,
    }
    if "mayfly up" not in SHELL[place]:
        environment |= {"MAYFLY_DATA": str(house.data), "MAYFLY_KEYS": str(house.keys)}
    ended = made_token(house, "operator")["id"] if TOKEN_ID in SHELL[place] else ""
    text = at_home(SHELL[place], house, workspace, identity, ended)
    run = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", text],
        cwd=workspace,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == CODES.get(place, 0), (text, run.stdout[-500:], run.stderr[-500:])


def test_every_other_block_is_run_by_a_test_of_its_page() -> None:
    assert {(kind, page) for kind, page in kinds() if kind not in ("sh", "toml", "json")} == RUN_BY.keys()
    for (_, page), name in RUN_BY.items():
        assert Path(page).stem in (ROOT / "tests" / name).read_text(encoding="utf-8"), name


def test_the_answers_that_are_shown_are_such_answers(house: Server, small: bytes) -> None:
    shown = {place: json.loads(text) for place, text in blocks("json")}
    assert shown["README.md:1"].keys() - {"..."} <= house.upload(small).keys()
    refused = house.post("/v1/images", content=gif(1), headers={"Content-Type": "image/png"})
    assert shown["docs/reference/problems.md:1"] == refused.json()


def test_what_is_run_elsewhere_or_ends_otherwise_still_stands_there() -> None:
    assert {*ELSEWHERE, *CODES} <= SHELL.keys()
