"""The commands as people and scripts use them: answers on stdout, messages on stderr, exit codes with a meaning."""

import contextlib
import json
import os
import pty
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import mayfly
from support.pictures import ENCODED, gif, gradient
from support.server import Server, until

DONE, FAILED, WRONG_USAGE, NO_SERVER, GONE = range(5)
UNKNOWN = "00000000-0001-8000-9123-456789abcdef"
HEAVY = ("fastapi", "starlette", "uvicorn", "pydantic", "pyvips", "pi_heif", "httpx", "cryptography", "sqlite3")
"""What `mayfly --help` may not wait for."""


def run(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAYFLY_")}
    return subprocess.run(
        [sys.executable, "-m", "mayfly", *map(str, arguments)],
        capture_output=True,
        timeout=120,
        check=False,
        cwd=cwd,
        env={**inherited, **environment},
    )


class Commands:
    """The command line, pointed at one server by the environment."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def __call__(self, *arguments: str | Path, code: int = DONE) -> str:
        """Its stdout, once it left with that exit code. Nothing but a failure says anything on stderr."""
        ended = run(*arguments, MAYFLY_URL=self.server.url)
        assert ended.returncode == code, ended
        assert (ended.stderr == b"") == (code == DONE), ended
        return ended.stdout.decode()

    def fails(self, *arguments: str | Path, code: int) -> str:
        """What it says on stderr, once it left with that exit code and without an answer."""
        ended = run(*arguments, MAYFLY_URL=self.server.url)
        assert (ended.returncode, ended.stdout) == (code, b""), ended
        assert b"Traceback" not in ended.stderr
        return " ".join(ended.stderr.decode().split())


@pytest.fixture(scope="module")
def cli(door: Server) -> Commands:
    return Commands(door)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = [folder / "one.jpg", folder / "zwei grün.png"]
    for path, kind in zip(paths, ("image/jpeg", "image/png"), strict=True):
        path.write_bytes(ENCODED[kind](gradient(80, 60)))
    return paths


def test_upload_waits_until_each_is_processed_and_prints_a_line_each(cli: Commands, pictures: list[Path]) -> None:
    lines = cli("upload", "--wait", *pictures).splitlines()
    assert lines[0].split() == ["id", "state", "type", "KiB", "received", "expires"]
    assert [line.split()[1:3] for line in lines[1:]] == [["processed", "jpeg"], ["processed", "png"]]


def test_upload_as_json_tells_all_of_each_image(cli: Commands, pictures: list[Path]) -> None:
    labels = ("--label", "site=north", "--label", "customer=A=B")
    images = json.loads(cli("upload", "--wait", "--json", "--retain", "PT1H", *labels, *pictures))
    assert [image["file"] for image in images] == [str(path) for path in pictures]
    assert [image["file_name"] for image in images] == ["one.jpg", "zwei grün.png"]
    assert [image["state"] for image in images] == ["processed"] * 2
    assert images[0]["labels"] == {"site": "north", "customer": "A=B"}


def test_one_refused_file_does_not_stop_the_others(cli: Commands, pictures: list[Path], tmp_path: Path) -> None:
    text, missing, cut = tmp_path / "notes.jpg", tmp_path / "missing.jpg", tmp_path / "cut.jpg"
    text.write_text("words " * 50)
    cut.write_bytes(pictures[0].read_bytes()[:-200])
    files = [text, missing, tmp_path, cut, pictures[0]]
    ended = run("upload", "--wait", *files, MAYFLY_URL=cli.server.url)
    assert ended.returncode == FAILED
    errors = ended.stderr.decode()
    assert f"{text}: The bytes are no image type we take (415)" in errors
    assert f"{missing}: No such file" in errors
    assert f"{tmp_path}: Is a directory" in errors
    assert [line.split()[1] for line in ended.stdout.decode().splitlines()[1:]] == ["rejected", "processed"]

    results = json.loads(run("upload", "--json", *files, MAYFLY_URL=cli.server.url).stdout)
    assert [result.get("problem", {}).get("type") for result in results][:1] == ["/problems/unknown-type"]
    assert ["problem" in result for result in results] == [True, True, True, False, False]


def test_a_file_too_large_is_refused_with_the_servers_reason(cli: Commands, tmp_path: Path) -> None:
    large = tmp_path / "large.gif"
    large.write_bytes(gif(1) + bytes(11 * 1024 * 1024))
    assert "at most 10485760 bytes" in cli.fails("upload", large, code=FAILED)


def test_folders_are_taken_when_told_to_with_what_ends_like_an_image(
    cli: Commands, pictures: list[Path], tmp_path: Path
) -> None:
    folder = pictures[0].parent
    deeper, hidden = folder / "b" / "deeper", folder / ".hidden"
    for place in (deeper, hidden):
        place.mkdir(parents=True)
        (place / "three.JPG").write_bytes(pictures[0].read_bytes())
    (deeper / "linked").symlink_to(folder)
    (folder / ".four.jpg").write_bytes(pictures[0].read_bytes())
    (folder / "notes.txt").write_text("words")
    arguments = ("upload", "--json", "--parallel", "2", "-r", folder, pictures[0])
    images = json.loads(cli(*arguments))
    assert [image["file"] for image in images] == [
        str(path) for path in (*pictures, deeper / "three.JPG", pictures[0])
    ], "in order; named is named"
    assert len({image["id"] for image in images}) == 4
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no image in it" in cli.fails("upload", "--recursive", empty, code=FAILED)
    assert "--recursive takes" in cli.fails("upload", folder, code=FAILED)


def test_upload_by_forms(cli: Commands, pictures: list[Path]) -> None:
    images = json.loads(cli("upload", "--form", "--wait", "--json", "--label", "site=west", *pictures))
    assert [image["state"] for image in images] == ["processed"] * 2
    assert [image["file_name"] for image in images] == ["one.jpg", "zwei grün.png"]
    assert images[0]["labels"] == {"site": "west"}


def test_upload_shows_on_a_terminal_how_far_it_is(cli: Commands, pictures: list[Path]) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mayfly", "upload", "--url", cli.server.url, *map(str, pictures)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=False, env=environment)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):
        while data := os.read(ours, 65_536):
            shown += data
    os.close(ours)
    assert ended.returncode == DONE
    assert b"2 of 2 files" in shown
    assert b"/" in shown.split(b"of 2 files")[0], "bytes of all bytes"


def test_erase_and_retry(cli: Commands) -> None:
    ids = [cli.server.upload(gif(1))["id"] for _ in range(2)]
    for identity in ids:
        cli.server.until_state(identity, "processed")
    assert f"{ids[0]}: The image's state does not allow this (409)" in cli.fails("retry", ids[0], code=FAILED)
    assert cli("erase", *ids).splitlines() == [f"erased {identity}" for identity in ids]
    assert f"{ids[1]}: The image is gone (410)" in cli.fails("erase", ids[1], code=GONE)
    alive = cli.server.upload(gif(1))["id"]
    ended = run("erase", ids[0], UNKNOWN, alive, MAYFLY_URL=cli.server.url)
    assert (ended.returncode, ended.stdout.decode()) == (GONE, f"erased {alive}\n"), "the others are erased"
    assert "(410)" in cli.fails("retry", alive, code=GONE)


def test_a_token_comes_from_a_file_or_the_environment_and_goes_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-a-file\n")
    heard: list[bytes] = []
    answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
    for arguments in ((), ("--token-file", file)):
        with answering(answer, heard) as url:
            ended = run("ls", "--url", url, *arguments, MAYFLY_TOKEN="from-outside")
        assert ended.returncode == FAILED
        assert b"from-" not in ended.stderr
    assert [b"Bearer from-outside" in heard[0], b"Bearer from-a-file" in heard[1]] == [True, True]
    refused = run("ls", "--url", "http://mayfly.example", MAYFLY_TOKEN="from-outside")
    assert (refused.returncode, b"from-outside" in refused.stderr) == (WRONG_USAGE, False)
    assert b"use https" in refused.stderr
    missing = run("ls", "--token-file", tmp_path / "missing")
    assert (missing.returncode, missing.stderr.decode()) == (
        FAILED,
        f"{tmp_path / 'missing'}: No such file or directory\n",
    )
    assert run("ls", "--ca", file, "--url", "https://localhost:1").returncode == WRONG_USAGE


def test_ls_lists_newest_first_page_by_page_or_all(cli: Commands) -> None:
    ids = [cli.server.upload(gif(1))["id"] for _ in range(3)]
    page = json.loads(cli("ls", "--json", "--limit", "2"))
    assert [item["id"] for item in page["items"]] == [ids[2], ids[1]]
    following = json.loads(cli("ls", "--json", "--limit", "1", "--cursor", page["next_cursor"]))
    assert [item["id"] for item in following["items"]] == [ids[0]]
    everything = json.loads(cli("ls", "--json", "--limit", "2", "--all"))
    assert [item["id"] for item in everything["items"]][:3] == ids[::-1]
    assert everything["next_cursor"] is None
    assert [line.split()[0] for line in cli("ls", "--all").splitlines()[1:4]] == ids[::-1]
    assert "limit is 1 to 200" in cli.fails("ls", "--limit", "0", code=FAILED)
    assert "state is one of" in cli.fails("ls", "--state", "done", code=FAILED)


def test_ls_filters(cli: Commands) -> None:
    image = cli.server.upload(gif(1))
    cli.server.until_state(image["id"], "processed")
    assert json.loads(cli("ls", "--json", "--source", "kafka")) == {"items": [], "next_cursor": None}
    assert cli("ls", "--state", "failed") == ""
    born = json.loads(cli("ls", "--json", "--state", "processed", "--from", image["received_at"], "--source", "http"))
    assert image["id"] in [item["id"] for item in born["items"]]
    before = json.loads(cli("ls", "--json", "--all", "--to", image["received_at"]))
    assert image["id"] not in [item["id"] for item in before["items"]]


def test_get_shows_the_record_and_fetches_bytes(cli: Commands, pictures: list[Path], tmp_path: Path) -> None:
    image = json.loads(cli("upload", "--wait", "--json", pictures[0]))[0]
    shown = cli("get", image["id"])
    assert json.loads(shown) == {name: value for name, value in image.items() if name != "file"}
    original = run("get", image["id"], "--original", MAYFLY_URL=cli.server.url)
    assert (original.returncode, original.stdout == pictures[0].read_bytes()) == (DONE, True)

    target = tmp_path / "out"
    assert cli("get", image["id"], "--original", "-o", target) == ""
    assert target.read_bytes() == pictures[0].read_bytes()
    cli("get", image["id"], "--rendition", "thumb", "--output", target)
    assert target.read_bytes() == cli.server.get(image["renditions"][0]["href"]).content
    cli("get", image["id"], "-o", target)
    assert target.read_text(encoding="utf-8") == shown
    assert list(tmp_path.glob("*.part")) == []


def test_get_that_fails_leaves_the_file_as_it_was(cli: Commands, tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.write_text("before")
    image = cli.server.upload(gif(1))
    cli.server.until_state(image["id"], "processed")
    assert "it has: thumb" in cli.fails("get", image["id"], "--rendition", "huge", "-o", target, code=GONE)
    assert target.read_text() == "before"
    nowhere = tmp_path / "nowhere" / "file"
    assert "No such file or directory" in cli.fails("get", image["id"], "--original", "-o", nowhere, code=FAILED)
    assert "ask for one" in cli.fails("get", image["id"], "--original", "--rendition", "x", code=WRONG_USAGE)


def test_pictures_are_not_printed_on_a_terminal(cli: Commands) -> None:
    image = cli.server.upload(gif(1))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mayfly", "get", image["id"], "--original", "--url", cli.server.url]
    ended = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(theirs)
    os.close(ours)
    assert ended.returncode == WRONG_USAGE
    assert "-o FILE" in ended.stderr


@pytest.mark.parametrize("identity", ["latest", UNKNOWN, "../limits", "?limit=1", "a b"])
def test_get_of_what_is_gone_or_unknown_says_so_by_its_exit_code(cli: Commands, identity: str) -> None:
    assert re.search(r"\((404|410)\)", cli.fails("get", identity, code=GONE))


def test_sweep_tells_what_it_destroyed(cli: Commands) -> None:
    run_through = json.loads(cli("sweep", "--json"))
    assert run_through.keys() == {"through", "keys_destroyed", "swept", "unverified", "orphans"}
    assert re.match(r"swept through \d{8}T\d{4}Z: \d+ keys destroyed, 0 orphans", cli("sweep"))
    assert cli("clock", "confirm").startswith("confirmed: it is 20")


@pytest.mark.parametrize(
    "arguments",
    [("ls",), ("get", UNKNOWN), ("erase", UNKNOWN), ("clock", "confirm"), ("upload", __file__)],
    ids=" ".join,
)
def test_without_a_server_every_command_says_how_to_start_one(arguments: tuple[str, ...], free_port: int) -> None:
    ended = run(*arguments, "--url", f"http://127.0.0.1:{free_port}")
    assert (ended.returncode, ended.stdout) == (NO_SERVER, b"")
    assert b"mayfly up" in ended.stderr
    assert b"--url" in ended.stderr


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://localhost", "http://[::1", "http://localhost:eighty"])
def test_an_address_that_is_none_is_wrong_usage(url: str) -> None:
    ended = run("ls", "--url", url)
    assert (ended.returncode, ended.stdout) == (WRONG_USAGE, b"")
    assert b"http://127.0.0.1:8080" in ended.stderr


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", FAILED, b"no Mayfly server"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nhello", FAILED, b"no Mayfly server"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf", FAILED, b"ended its answer early"),
    ],
)
def test_another_server_and_a_broken_answer_are_told_apart(answer: bytes, code: int, says: bytes) -> None:
    with answering(answer) as url:
        ended = run("ls", "--url", url)
    assert (ended.returncode, ended.stdout) == (code, b"")
    assert says in ended.stderr


@contextlib.contextmanager
def answering(answer: bytes, heard: list[bytes] | None = None) -> Iterator[str]:
    """A server that answers one request with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                request = connection.recv(65_536)
                if heard is not None:
                    heard.append(request)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(30)


def test_a_proxy_for_the_web_is_not_asked_for_this_machine(cli: Commands, free_port: int) -> None:
    proxy = f"http://127.0.0.1:{free_port}"
    ended = run("ls", "--json", MAYFLY_URL=cli.server.url, HTTP_PROXY=proxy, http_proxy=proxy, ALL_PROXY=proxy)
    assert ended.returncode == DONE, ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("ls", "--colour"),
        ("get",),
        ("upload",),
        ("upload", "--label", "site", __file__),
        ("up", "--port", "eighty"),
        ("up", "--workers", "0"),
        ("config", "check", "--config", "/nowhere/mayfly.toml"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_said_on_stderr(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ended = run(*arguments, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (WRONG_USAGE, b"")
    assert len(ended.stderr) > 20
    assert b"Traceback" not in ended.stderr


def test_settings_are_written_checked_and_shown(tmp_path: Path) -> None:
    assert run("config", "init", cwd=tmp_path).returncode == DONE
    assert run("config", "check", cwd=tmp_path).stdout == b"the settings are fine\n"
    shown = json.loads(run("config", "show", "--json", cwd=tmp_path, MAYFLY_PORT="8123").stdout)
    assert shown["port"] == {"value": 8123, "origin": "MAYFLY_PORT"}
    (tmp_path / "mayfly.toml").write_text("port = 'x'\nprot = 1\n")
    broken = run("up", "--workers", "0", cwd=tmp_path)
    assert broken.returncode == WRONG_USAGE
    assert broken.stderr.count(b"\n") == 3, "every fault at once"


def test_doctor_checks_this_machine_and_says_what_is_wrong(tmp_path: Path) -> None:
    data = tmp_path / "data"
    sound = run("doctor", "--data", data, "--json")
    checks = {check["name"]: check["verdict"] for check in json.loads(sound.stdout)}
    assert sound.returncode == DONE, sound
    assert checks["image engine"] == "ok"
    assert {"settings", "data folder", "keys folder", "disk", "clock"} <= checks.keys()
    assert not data.exists(), "it changes nothing"

    data.mkdir(mode=0o755)
    data.chmod(0o755)
    opened = run("doctor", "--data", data)
    assert opened.returncode == FAILED
    assert f"chmod 700 {data}".encode() in opened.stdout


def test_the_version_is_printed() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stdout.decode()) == (DONE, f"mayfly {mayfly.__version__}\n")


def test_help_answers_without_waiting_for_what_it_does_not_need() -> None:
    script = (
        "import sys\nfrom mayfly.cli import app\nsys.argv = ['mayfly', '--help']\n"
        "try:\n    app()\nexcept SystemExit as leaving:\n    assert not leaving.code\n"
        f"print('LOADED', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "upload" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "LOADED []"


def test_a_server_that_is_told_to_stop_leaves_with_success(tmp_path: Path) -> None:
    server = Server(tmp_path, options=("--workers", "1")).start()
    assert server.stop() == DONE
    until(lambda: '"stopped"' in server.log.read_text(encoding="utf-8"), "the log to say so")
