"""The Python client at a real server, through restarts and cut connections."""

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mayfly import Client
from mayfly.client import DeniedError, GoneError, Progress, RefusedError, UntrustedError
from support.certificate import trusting, write_certificate
from support.pages import python_of
from support.pictures import ENCODED, gradient
from support.server import MakeServer, Server, until
from support.tokens import made_token

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "use-from-python.md"
MANY = 200


@pytest.fixture
def client(door: Server) -> Iterator[Client]:
    with Client(door.url) as opened:
        yield opened


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_restart_in_the_middle_of_many_uploads_loses_none_and_doubles_none(
    make_server: MakeServer, small: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(MANY):
        (folder / f"{number:03}.jpg").write_bytes(small + number.to_bytes(2, "big"))
    server = make_server(options=("--workers", "1", "--port", str(free_port()))).start()
    told: list[Progress] = []
    halfway = threading.Event()
    restarted = threading.Event()

    def restart() -> None:
        assert halfway.wait(60)
        server.kill()
        server.start(ready=False)
        restarted.set()

    def watch(progress: Progress) -> None:
        told.append(progress)
        if progress.files >= MANY // 4:
            halfway.set()

    killer = threading.Thread(target=restart)
    killer.start()
    with Client(server.url) as client:
        results = list(client.upload_many(sorted(folder.iterdir()), concurrency=4, progress=watch))
        killer.join(60)
        assert restarted.is_set()
        assert [result.error for result in results if result.error is not None] == []
        ids = [result.image.id for result in results if result.image is not None]
        assert len(set(ids)) == MANY
        until(lambda: Counter(image.state for image in client.images()) == {"processed": MANY}, "all to be processed")
        listed = {image.id for image in client.images(page_size=7)}
        assert listed == set(ids), "none lost, and none that nobody knows of"
        sums = {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        assert {client.image(identity).sha256 for identity in ids} == sums
    sent = sum(path.stat().st_size for path in folder.iterdir())
    assert told[-1] == Progress(files=MANY, failed=0, sent=sent)
    assert len([name for name in server.objects() if name.endswith(".original")]) == MANY


def test_a_download_goes_on_where_its_connection_was_cut(
    door: Server, client: Client, photo: bytes, tmp_path: Path
) -> None:
    identity = client.upload(photo).id
    assert len(photo) > 1_000_000
    with cutting(door.url, after=400_000) as (url, connections), Client(url) as through:
        assert through.download(identity, tmp_path / "photo.jpg") == len(photo)
    assert (tmp_path / "photo.jpg").read_bytes() == photo
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
    assert len(connections) >= 3, "it was cut more than once"


@contextlib.contextmanager
def cutting(url: str, after: int) -> Iterator[tuple[str, list[int]]]:
    """Something between that passes bytes on, and cuts each connection after so many of the server's."""
    address = urlsplit(url)
    passed: list[int] = []
    threads: list[threading.Thread] = []

    def serve(ours: socket.socket) -> None:
        with ours, socket.create_connection((str(address.hostname), address.port or 0)) as theirs:
            there = threading.Thread(target=pump, args=(ours, theirs))
            there.start()
            passed.append(pump(theirs, ours, after))
            for end in (ours, theirs):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            there.join(30)

    def accept() -> None:
        while True:
            try:
                ours, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(ours,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", passed
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(30)
            for thread in threads:
                thread.join(30)


def pump(source: socket.socket, target: socket.socket, most: int | None = None) -> int:
    passed = 0
    with contextlib.suppress(OSError):
        while (most is None or passed < most) and (data := source.recv(16_384)):
            target.sendall(data)
            passed += len(data)
        if most is None:
            target.shutdown(socket.SHUT_WR)
    return passed


def test_a_life_from_upload_to_erasure(client: Client, photo: bytes, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    labels = {"site": "north", "customer": "4711"}
    image = client.upload(photo, file_name="grün.jpg", retain=timedelta(hours=1), labels=labels)
    assert (image.state, image.file_name, image.labels) == ("received", "grün.jpg", labels)
    assert timedelta(minutes=59) < image.expires_at - before <= timedelta(hours=1, seconds=60)

    done = client.wait(image)
    assert (done.state, done.settled) == ("processed", True)
    assert done.sha256 == hashlib.sha256(photo).hexdigest()
    assert client.image(image.id) == done
    for rendition in done.renditions:
        assert client.download(done, tmp_path / rendition.name, rendition=rendition.name) == rendition.bytes
        assert len(client.download(done, rendition=rendition.name)) == rendition.bytes
    assert client.download(done) == photo

    found = [listed for listed in client.images(received_from=image.received_at) if listed.id == image.id]
    assert [(listed.state, listed.sha256, listed.labels) for listed in found] == [
        ("processed", None, {"site": "north"})
    ]
    assert client.limits().direct_bytes == 10 * 1024 * 1024
    assert client.sweep().unverified == ()
    assert abs(client.confirm_clock() - datetime.now(UTC)) < timedelta(minutes=1)
    assert sum(answer.examined for answer in client.reprocess([image.id], dry_run=True)) == 1
    client.erase(image)
    for after in (lambda: client.download(image), lambda: client.wait(image), lambda: client.erase(image)):
        with pytest.raises(GoneError, match="erased"):
            after()


def test_a_form_brings_the_same_image(client: Client, photo: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo)
    image = client.upload(path, form=True, retain="PT1H", labels={"site": "south"})
    assert image.state in ("received", "processing", "processed")
    done = client.wait(image)
    assert (done.state, done.file_name, done.labels) == ("processed", "photo.jpg", {"site": "south"})
    assert client.download(done) == photo
    with pytest.raises(RefusedError) as raised:
        client.upload(b"no picture at all", media_type="image/jpeg", form=True)
    assert raised.value.status == 415


def test_the_how_to_is_true(door: Server, photo: bytes, tmp_path: Path) -> None:
    """The page's program, as it stands, but for the server's address."""
    (tmp_path / "photo.jpg").write_bytes(photo)
    (tmp_path / "photos").mkdir()
    for name in ("a", "b"):
        (tmp_path / "photos" / f"{name}.jpg").write_bytes(ENCODED["image/jpeg"](gradient(90, 60)) + name.encode())
    (tmp_path / "photos" / "c.jpg").write_text("no picture")
    program = python_of(HOWTO).replace("http://127.0.0.1:8080", door.url)
    # The second run of a folder that the first left a fault in would stop there.
    program = program.replace("again = client.upload(path,", 'path.name == "c.jpg" or client.upload(path,')
    last = "\nimport json\nprint(json.dumps([len(uploaded), size]))\n"
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program + last],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAYFLY_")},
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1]) == [2, len(photo)]
    assert "c.jpg is at fault itself" in ended.stdout
    assert "gone: " in ended.stdout
    assert (tmp_path / "again.jpg").read_bytes() == photo
    assert {path.suffix for path in tmp_path.glob("thumb.*")} == {".webp"}


def test_over_tls_with_a_token_of_a_role(make_server: MakeServer, small: bytes, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    options = ("--host", "0.0.0.0", "--workers", "1", "--tls-certificate", str(certificate), "--tls-key", str(key))
    server = make_server(options=options, tls=trusting(certificate))
    token = made_token(server, "uploader", "--name", "camera-1")["token"]
    server.start(ready=False)
    url = f"https://localhost:{urlsplit(server.url).port}"
    with Client(url, token=token, ca=certificate) as client:
        for form in (False, True):
            image = client.upload(small, form=form)
            assert (image.uploader, client.download(image)) == ("camera-1", small)
        with pytest.raises(DeniedError, match="uploader"):
            client.erase(image)
    with Client(url, token="mfy_unknown", ca=certificate) as stranger, pytest.raises(DeniedError) as raised:
        stranger.limits()
    assert raised.value.status == 401
    with Client(url, token=token) as unsure, pytest.raises(UntrustedError, match="name the file of its CA"):
        unsure.limits()

    file = tmp_path / "token"
    file.write_text(token)
    command = [sys.executable, "-m", "mayfly", "get", image.id, "--original", "--url", url]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAYFLY_")}
    ended = subprocess.run(
        [*command, "--token-file", str(file)],
        capture_output=True,
        timeout=60,
        check=False,
        env={**inherited, "MAYFLY_CA": str(certificate)},
    )
    assert (ended.returncode, ended.stdout) == (0, small), ended.stderr
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=inherited)
    assert refused.returncode == 3
    assert "(--ca)" in refused.stderr
