"""Behind a proxy: nginx and Caddy themselves, with the blocks that stand on the page, in front of a real server."""

import random
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from support.door import assert_problem
from support.pages import ROOT
from support.proxy import NAME, Proxy, caddy, changed, nginx
from support.server import Server, until
from support.tokens import made_token

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a proxy's open files are looked up in /proc")

PAGE = (ROOT / "docs/howto/reach-it-from-elsewhere.md").read_text(encoding="utf-8")
(NGINX,) = re.findall(r"^```nginx\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(CADDY,) = re.findall(r"^```caddy\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
MADE: dict[str, tuple[Callable[[str, Server, Path, int], Proxy], str]] = {
    "nginx": (nginx, NGINX),
    "caddy": (caddy, CADDY),
}
LARGEST = 10 * 1024 * 1024
"""What the door takes, bytes. With this much under way, some of it would be in a file if any ever were."""


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Started as the page says, with the names it says."""
    options, names = ("--behind-proxy", "--workers", "1"), f'public_names = ["{NAME}"]\n'
    assert "mayfly up --behind-proxy" in PAGE
    assert names in PAGE
    server = Server(tmp_path_factory.mktemp("behind"), options=options, config=names)
    server.token = made_token(server, "admin")["token"]
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="module", params=MADE)
def proxy(request: pytest.FixtureRequest, behind: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    make, block = MADE[request.param]
    made = make(block, behind, tmp_path_factory.mktemp("proxy") / request.param, free_port())
    yield made
    made.close()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def largest(small: bytes) -> bytes:
    """A JPEG that is as large as the door takes, nearly all of it behind its end."""
    return small + random.Random(1).randbytes(LARGEST - len(small))


def send_looking(proxy: Proxy, client: httpx.Client, body: bytes) -> tuple[httpx.Response, list[str]]:
    """Upload it, and look in between, when most of it has left here, at the files the proxy has."""
    seen: list[str] = []

    def parts() -> Iterator[bytes]:
        yield body[: len(body) * 3 // 4]
        seen.extend(proxy.files())
        yield body[len(body) * 3 // 4 :]

    headers = {"Content-Type": "image/jpeg", "Content-Length": str(len(body))}
    return client.post("/v1/images", content=parts(), headers=headers), seen


def fetch_looking(proxy: Proxy, client: httpx.Client, path: str) -> tuple[bytes, list[str]]:
    """Download it, and look after each piece."""
    body, seen = bytearray(), []
    with client.stream("GET", path) as answer:
        for piece in answer.iter_bytes(65_536):
            body += piece
            seen += proxy.files()
    return bytes(body), seen


def test_everything_needs_a_token_through_it(proxy: Proxy, small: bytes) -> None:
    with proxy.client() as stranger, proxy.client(proxy.server.token) as admin:
        assert_problem(stranger.get("/v1/me"), 401, "unauthenticated")
        assert_problem(stranger.post("/v1/images", content=small), 401, "unauthenticated")
        assert admin.get("/v1/me").json()["role"] == "admin"


def test_what_is_sent_and_fetched_passes_unchanged_and_leaves_no_file(proxy: Proxy, largest: bytes) -> None:
    with proxy.client(proxy.server.token) as client:
        answer, while_sent = send_looking(proxy, client, largest)
        assert answer.status_code == 201, answer.text
        identity = answer.json()["id"]
        body, while_fetched = fetch_looking(proxy, client, f"/v1/images/{identity}/original")
        assert body == largest
        assert (while_sent, while_fetched) == ([], [])
        assert client.delete(f"/v1/images/{identity}").status_code == 204


def test_the_largest_file_of_a_form_passes_and_a_larger_one_is_refused_by_the_server(
    proxy: Proxy, largest: bytes
) -> None:
    with proxy.client(proxy.server.token) as client:
        answer = client.post("/v1/images", files={"file": ("a.jpg", largest)}, data={"retain": "PT1H"})
        assert answer.status_code == 201, answer.text
        assert client.delete(f"/v1/images/{answer.json()['id']}").status_code == 204
        assert_problem(client.post("/v1/images", content=largest + b"x"), 413, "too-large")


def test_callers_see_the_address_they_asked_for_whatever_they_claim(proxy: Proxy, small: bytes) -> None:
    claims = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example", "X-Forwarded-For": "127.0.0.1"}
    with proxy.client(proxy.server.token) as client, proxy.client() as page:
        form = client.post("/v1/uploads", json={"media_type": "image/jpeg"}, headers=claims).json()
        assert form["url"] == f"https://{NAME}/v1/uploads/form"
        foreign = {"Origin": "https://evil.example"}
        sent = {"data": form["fields"], "files": {"file": ("a.jpg", small)}}
        assert_problem(page.post("/v1/uploads/form", headers=foreign, **sent), 403, "denied")
        assert page.post("/v1/uploads/form", headers={"Origin": f"https://{NAME}"}, **sent).status_code == 204
        signed_in = page.post("/v1/session", json={"token": proxy.server.token}, headers=claims)
        assert "Secure" in signed_in.headers["set-cookie"]
        assert page.get("/v1/me").json()["signed_in"]


def test_an_event_comes_through_at_once(proxy: Proxy, small: bytes) -> None:
    with proxy.client(proxy.server.token) as client, client.stream("GET", "/v1/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        identity = proxy.server.upload(small)["id"]
        assert next(line for line in lines if line.startswith("data:") and identity in line)


def test_without_the_last_two_lines_pictures_are_in_files_of_nginx(
    behind: Server, largest: bytes, tmp_path: Path
) -> None:
    lines = [("        proxy_request_buffering off;\n", ""), ("        proxy_buffering off;\n", "")]
    proxy = nginx(changed(NGINX, *lines), behind, tmp_path / "nginx", free_port())
    try:
        with proxy.client(behind.token) as client:
            answer, while_sent = send_looking(proxy, client, largest)
            assert any("/temp/body/" in name for name in while_sent)
            with client.stream("GET", f"/v1/images/{answer.json()['id']}/original") as unread:
                assert unread.status_code == 200
                until(lambda: any("/temp/proxy/" in name for name in proxy.files()), "a file of what is not read")
    finally:
        proxy.close()
