"""Reaching a server from elsewhere: tokens, TLS, a proxy in front; and that nobody gets in without."""

import contextlib
import json
import os
import shlex
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mayfly.entrypoints.http.protocol import MOST_CONNECTIONS
from support.certificate import trusting, write_certificate
from support.door import assert_problem
from support.pages import blocks
from support.server import MakeServer, Server, until
from support.tokens import made_token, mayfly

NOT_LOOPBACK = ("--host", "0.0.0.0", "--workers", "1")


def over_tls(make_server: MakeServer, folder: Path) -> Server:
    certificate, key = write_certificate(folder)
    options = (*NOT_LOOPBACK, "--tls-certificate", str(certificate), "--tls-key", str(key))
    return make_server(options=options, tls=trusting(certificate))


def local_url(server: Server) -> str:
    """The address of a server that listens everywhere, from here."""
    parts = urlsplit(server.url)
    return f"{parts.scheme}://localhost:{parts.port}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refused_start(server: Server) -> str:
    run = subprocess.run(server.command(), capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert (run.returncode, run.stdout) == (2, "")
    return run.stderr


def test_a_public_address_is_refused_until_there_is_tls_and_a_token(
    make_server: MakeServer, tmp_path: Path, photo: bytes
) -> None:
    plain = make_server(options=NOT_LOOPBACK)
    assert "tls_certificate" in refused_start(plain)
    assert not plain.data.exists()

    server = over_tls(make_server, tmp_path)
    assert "mayfly token create" in refused_start(server)
    ended = made_token(server, "admin")
    assert mayfly(server, "token", "revoke", ended["id"]).returncode == 0
    assert "mayfly token create" in refused_start(server)

    server.token = made_token(server, "uploader", "--name", "camera-1")["token"]
    server.start(ready=False)
    assert server.url.startswith("https://0.0.0.0:")
    server.url = local_url(server)
    image = server.upload(photo)
    assert image["uploader"] == "camera-1"
    assert server.get(f"/v1/images/{image['id']}/original").content == photo
    server.until_state(image["id"], "processed")
    assert_problem(server.get("/v1/images", headers=bearer("mfy_x")), 401, "unauthenticated")
    answer = httpx.get(f"{server.url}/v1/images", verify=server.tls, trust_env=False)
    assert_problem(answer, 401, "unauthenticated", "mayfly token create")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert server.stop() == 0


def test_a_server_started_as_the_page_says_takes_the_page_s_calls_from_elsewhere(
    make_server: MakeServer, small: bytes, tmp_path: Path
) -> None:
    """The name it has on the page leads here; the folder has the files that the page names."""
    shell = dict(blocks("sh"))
    with_curl, with_command, start = (shell[f"docs/howto/reach-it-from-elsewhere.md:{number}"] for number in (3, 4, 5))
    certificate, key = write_certificate(tmp_path, "photos.example.org")
    (tmp_path / "ca.pem").write_bytes(certificate.read_bytes())
    (tmp_path / "photo.jpg").write_bytes(small)
    here = {"8443": "0", "fullchain.pem": str(certificate), "privkey.pem": str(key)}
    assert start.startswith("mayfly up ")
    options = [here.get(word, word) for word in shlex.split(start)[2:]]
    config = 'public_names = ["photos.example.org"]\n'
    server = make_server(options=("--workers", "1", *options), tls=trusting(certificate), config=config)
    server.token = made_token(server, "uploader")["token"]
    server.start(ready=False)
    server.url = local_url(server)

    name, port = "photos.example.org:8443", urlsplit(server.url).port
    assert name in with_curl
    assert name in with_command
    curl = f"curl --fail-with-body -sS --cacert ca.pem --connect-to {name}:127.0.0.1:{port} "
    command = with_command.replace(name, f"localhost:{port}").replace("mayfly ", f"{sys.executable} -m mayfly ")
    environment = {**os.environ, "TOKEN": server.token, "NO_PROXY": "*"}
    for script in (with_curl.replace("curl ", curl), command):
        run = subprocess.run(
            ["sh", "-ec", script], cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False
        )
        assert run.returncode == 0, (run.stdout, run.stderr)
    sent = server.get("/v1/images").json()["items"]
    assert [image["bytes"] for image in sent] == [len(small)] * 2


def test_over_tls_nothing_older_than_1_2_is_spoken_and_no_plain_http(make_server: MakeServer, tmp_path: Path) -> None:
    server = over_tls(make_server, tmp_path)
    made_token(server, "auditor")
    server.start(ready=False)
    server.url = local_url(server)
    port = urlsplit(server.url).port
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port)) as raw, pytest.raises(ssl.SSLError):
        old.wrap_socket(raw)
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
    assert server.get("/healthz").status_code == 200


def test_a_request_that_comes_with_the_handshake_is_answered(make_server: MakeServer, tmp_path: Path) -> None:
    server = over_tls(make_server, tmp_path)
    made_token(server, "auditor")
    server.start(ready=False)
    port = urlsplit(server.url).port
    for _ in range(20):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = server.tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65_536))
            client.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            # In one piece with the handshake's last message.
            connection.sendall(outgoing.read())
            answer = b""
            while b"ok" not in answer:
                try:
                    answer += client.read(65_536)
                except ssl.SSLWantReadError:
                    received = connection.recv(65_536)
                    assert received, answer
                    incoming.write(received)
            assert answer.startswith(b"HTTP/1.1 200")


def test_a_renewed_certificate_is_read_at_sighup_and_a_broken_one_is_not(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = over_tls(make_server, tmp_path)
    made_token(server, "auditor")
    server.start(ready=False)
    server.url = local_url(server)
    before = server.tls
    (tmp_path / "certificate.pem").write_text("no certificate")
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: "certificate_refused" in server.log.read_text(), "the refusal")
    assert server.get("/healthz").status_code == 200

    server.tls = trusting(write_certificate(tmp_path)[0])
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: "certificate_read" in server.log.read_text(), "the renewal")
    assert server.get("/healthz").status_code == 200
    server.tls = before
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        server.get("/healthz")


def test_a_key_that_others_may_read_is_refused(make_server: MakeServer, tmp_path: Path) -> None:
    server = over_tls(make_server, tmp_path)
    made_token(server, "auditor")
    (tmp_path / "key.pem").chmod(0o644)
    assert "chmod 600" in refused_start(server)


def test_behind_a_proxy_loopback_needs_a_token_too(make_server: MakeServer, small: bytes) -> None:
    server = make_server(options=("--behind-proxy", "--workers", "1")).start()
    for method, path in (("GET", "/v1/images"), ("POST", "/v1/images"), ("GET", "/v1/limits"), ("POST", "/v1/sweeps")):
        json_body: dict[str, str] | None = {} if path == "/v1/sweeps" else None
        assert_problem(server.request(method, path, json=json_body), 401, "unauthenticated")
    proxied = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Real-IP": "127.0.0.1"}
    assert_problem(server.get("/v1/images", headers=proxied), 401, "unauthenticated")

    server.token = made_token(server, "uploader")["token"]
    server.upload(small)
    assert_problem(server.post("/v1/sweeps", json={}), 403, "denied", "uploader")


def test_a_revoked_token_is_refused_from_the_next_request_on(make_server: MakeServer) -> None:
    server = make_server(options=("--behind-proxy", "--workers", "1")).start()
    made = made_token(server, "analyst")
    with httpx.Client(base_url=server.url, headers=bearer(made["token"]), trust_env=False) as client:
        assert client.get("/v1/me").json() == {"name": made["name"], "role": "analyst", "signed_in": False}
        assert mayfly(server, "token", "revoke", made["id"]).returncode == 0
        assert_problem(client.get("/v1/me"), 401, "unauthenticated")
    listed = json.loads(mayfly(server, "token", "ls", "--json").stdout)
    assert [(token["id"], token["state"]) for token in listed] == [(made["id"], "revoked")]
    assert mayfly(server, "token", "revoke", "nosuch").returncode == 1


def test_a_stream_ends_with_its_token(make_server: MakeServer, small: bytes) -> None:
    server = make_server(options=("--behind-proxy", "--workers", "1")).start()
    made = made_token(server, "analyst")
    server.token = made_token(server, "uploader")["token"]
    with (
        httpx.Client(base_url=server.url, headers=bearer(made["token"]), trust_env=False, timeout=30) as client,
        client.stream("GET", "/v1/events") as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        began = time.monotonic()
        assert mayfly(server, "token", "revoke", made["id"]).returncode == 0
        until(lambda: time.monotonic() - began > 1.5, "the stream to ask again")
        server.upload(small)
        assert [line for line in lines if line] == []


def test_a_token_ends_with_its_life(make_server: MakeServer) -> None:
    server = make_server(movable=True, options=("--behind-proxy", "--workers", "1"))
    server.move_clock(0)
    server.start()
    server.token = made_token(server, "analyst", "--expires", "45m")["token"]
    assert server.get("/v1/me").status_code == 200
    server.move_clock(45 * 60 + 1)
    until(lambda: server.get("/v1/me").status_code == 401, "the end of the token")


def test_on_loopback_a_token_that_is_not_live_is_refused_and_a_live_one_counts(server: Server) -> None:
    assert server.get("/v1/me").json()["role"] == "admin"
    server.token = made_token(server, "analyst")["token"]
    assert server.get("/v1/me").json()["role"] == "analyst"
    for shown in ("Bearer mfy_", f"Bearer {server.token}x", f"Basic {server.token}", "Bearer", server.token):
        assert_problem(server.get("/v1/me", headers={"Authorization": shown}), 401, "unauthenticated")


def test_tokens_are_made_while_a_server_runs_and_while_none_does(make_server: MakeServer) -> None:
    server = make_server(options=("--workers", "1"))
    assert mayfly(server, "token", "ls").returncode == 2
    assert not server.data.exists()
    before = made_token(server, "operator", "--name", "ci")
    server.start()
    during = made_token(server, "uploader")
    server.stop()
    after = made_token(server, "auditor")
    listed = json.loads(mayfly(server, "token", "ls", "--json").stdout)
    assert [token["id"] for token in listed] == [before["id"], during["id"], after["id"]]
    server.start()
    for made in (before, during, after):
        assert server.get("/v1/me", headers=bearer(made["token"])).json()["name"] == made["name"]


def test_no_secret_is_kept_anywhere(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(options=("--behind-proxy", "--workers", "1")).start()
    server.token = made_token(server, "uploader")["token"]
    secret = server.token.split("_", 2)[2].encode()
    assert server.get("/v1/me").status_code == 200
    server.get("/v1/me", headers=bearer(server.token[:-1]))
    server.stop()
    for file in [*server.files(), server.log]:
        assert secret[:-1] not in file.read_bytes(), file


def test_the_owner_s_socket_is_the_owner_s_alone(make_server: MakeServer) -> None:
    server = make_server(options=("--workers", "1")).start()
    path = server.data / "owner.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    # What it is asked has no route on the network, and the network's routes are not there.
    assert_problem(server.get("/tokens"), 404, "no-route")
    assert_problem(server.get("/tokens", headers={"Host": "localhost", "X-Forwarded-Proto": "unix"}), 403, "denied")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://owner") as owner:
        assert owner.get("/tokens").json() == []
        assert owner.get("/v1/images").status_code == 404
    server.stop()
    assert not path.exists()


def test_a_token_can_be_revoked_while_strangers_hold_every_place(make_server: MakeServer) -> None:
    server = make_server(options=("--behind-proxy", "--workers", "1")).start()
    made = made_token(server, "analyst")
    url = urlsplit(server.url)
    with contextlib.ExitStack() as held:
        for _ in range(MOST_CONNECTIONS):
            held.enter_context(socket.create_connection((url.hostname, url.port or 0)))
        revoked = mayfly(server, "token", "revoke", made["id"])
    assert revoked.returncode == 0, revoked.stderr


def test_a_killed_owner_s_socket_is_taken_over(make_server: MakeServer) -> None:
    server = make_server(options=("--workers", "1")).start()
    server.kill()
    assert (server.data / "owner.sock").exists()
    made_token(server, "auditor")
    server.start()
    assert len(json.loads(mayfly(server, "token", "ls", "--json").stdout)) == 1


def test_a_deep_folder_has_its_socket_too(make_server: MakeServer) -> None:
    server = make_server("x" * 100, options=("--workers", "1")).start()
    assert len(str(server.data / "owner.sock")) > 108
    made_token(server, "auditor")
    assert len(json.loads(mayfly(server, "token", "ls", "--json").stdout)) == 1
    assert not (server.data.parent / "data.keys").exists()
