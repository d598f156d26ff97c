"""The rest of the web, speaking through a visitor's browser, is kept out."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from support.door import assert_problem, nothing_left
from support.server import Server


def port_of(server: Server) -> int:
    port = urlsplit(server.url).port
    assert port is not None
    return port


FOREIGN_HOSTS = ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"]
FOREIGN_HOSTS += [
    "0.0.0.0:{port}",
    "[::]:{port}",
    "user@localhost",
    "localhost/../evil.example",
    "",
    "[::1",
    "2130706433",
]
FOREIGN = [
    *({"Host": host} for host in FOREIGN_HOSTS),
    *({"Origin": origin} for origin in ("null", "https://evil.example", "http://localhost:1", "http://127.0.0.1")),
    {"Origin": "http://127.0.0.1:{port}.evil.example"},
    {"Origin": "http://evil.example@127.0.0.1:{port}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "SAME-ORIGIN, cross-site"},
]


def told(headers: dict[str, str], server: Server) -> dict[str, str]:
    return {name: value.format(port=port_of(server)) for name, value in headers.items()}


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_request_of_another_site_is_refused_on_every_route(
    door: Server, headers: dict[str, str], small: bytes
) -> None:
    with nothing_left(door):
        asked = told(headers, door)
        for method, path in (("POST", "/v1/images"), ("GET", "/v1/images"), ("GET", "/readyz"), ("GET", "/nowhere")):
            content = small if method == "POST" else None
            assert_problem(door.request(method, path, headers=asked, content=content), 403, "denied")


OUR_OWN: list[dict[str, str]] = [
    {},
    {"Host": "localhost:{port}"},
    {"Host": "LOCALHOST"},
    {"Host": "127.0.0.1"},
    {"Host": "[::1]:{port}"},
    {"Host": "[::1]"},
    {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"},
    {"Host": "localhost:{port}", "Origin": "http://localhost:{port}"},
    {"Sec-Fetch-Site": "none"},
]


@pytest.mark.parametrize("headers", OUR_OWN, ids=str)
def test_a_request_of_our_own_is_answered(door: Server, headers: dict[str, str]) -> None:
    assert door.get("/v1/images", headers=told(headers, door)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/sweeps", "/v1/clock/confirm"])
@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonp"],
)
def test_what_a_page_can_send_without_asking_is_refused_by_json_routes(door: Server, path: str, kind: str) -> None:
    response = door.post(path, content=b"{}", headers={"Content-Type": kind})
    assert_problem(response, 415, "json-only", "application/json")


@pytest.mark.parametrize("path", ["/v1/sweeps", "/v1/clock/confirm"])
def test_json_routes_take_json_alone(door: Server, path: str) -> None:
    assert_problem(door.post(path), 415, "json-only", "application/json")
    assert_problem(door.post(path, headers={"Content-Type": "text/plain"}), 415, "json-only")
    assert door.post(path, json={}).status_code == 200
    assert (
        door.post(path, content=b"{}", headers={"Content-Type": "application/json; charset=utf-8"}).status_code == 200
    )


def test_a_retry_takes_nothing_or_json(door: Server, small: bytes) -> None:
    image = door.upload(small)
    door.until_state(image["id"], "processed")
    path = f"/v1/images/{image['id']}/retry"
    # Allowed as requests; that the image did not fail is another matter.
    assert_problem(door.post(path), 409, "conflict")
    assert_problem(door.post(path, json={}), 409, "conflict")
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert_problem(door.post(path, content=b"{}", headers={"Content-Type": kind}), 415, "json-only")
    assert_problem(door.post(path, headers={"Content-Type": "text/plain"}), 415, "json-only")


def test_no_other_site_is_told_that_it_may(door: Server) -> None:
    asked = {"Origin": f"http://127.0.0.1:{port_of(door)}", "Access-Control-Request-Method": "POST"}
    preflight = door.request("OPTIONS", "/v1/images", headers=asked)
    assert preflight.status_code == 405
    answers: list[httpx.Response] = [preflight, door.get("/v1/images", headers=asked)]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org"])
def test_listening_elsewhere_is_refused_with_a_way_out(tmp_path: Path, host: str) -> None:
    command = [sys.executable, "-m", "mayfly", "up", "--host", host, "--port", "0", "--data", str(tmp_path / "data")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=os.environ, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert "--host" in run.stderr
    assert "loopback" in run.stderr
    assert "ssh -L" in run.stderr
    assert not (tmp_path / "data").exists()
