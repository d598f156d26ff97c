"""Real proxies in front of a real server, configured by the blocks that stand on a page."""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.certificate import trusting, write_certificate
from support.pages import ROOT
from support.server import PATIENCE_SECONDS, Server, until

NAME = "photos.example.org"
"""What the pages call the server."""

# Where scripts/system.sh unpacks what is not installed.
_UNPACKED = [str(ROOT / ".programs/usr" / part) for part in ("sbin", "bin")]

_NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/temp/body;
    proxy_temp_path {folder}/temp/proxy;
    fastcgi_temp_path {folder}/temp/fastcgi;
    uwsgi_temp_path {folder}/temp/uwsgi;
    scgi_temp_path {folder}/temp/scgi;
{block}
}}
"""

_CADDY = """
{{
    admin off
    auto_https disable_redirects
    default_bind 127.0.0.1
    https_port {port}
    local_certs
    skip_install_trust
    storage file_system {folder}/caddy
}}
{block}
"""


def program(name: str) -> str:
    """Where it stands. Without it nothing is shown of it; the judgement on a commit never skips."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", *_UNPACKED]))
    if found is None:
        told = f"the page's {name} is not tried: install it (make test unpacks it, where it may)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(told)
    return found


@dataclass
class Proxy:
    """In front of `server`, on a port of its own, at which it speaks TLS for `NAME`."""

    server: Server
    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    tls: ssl.SSLContext

    def client(self, token: str = "") -> httpx.Client:
        """Connects to this machine and asks for `NAME`, as a caller would whose name service knows it."""
        headers = {"Host": NAME} | ({"Authorization": f"Bearer {token}"} if token else {})
        # A reader of little: what a proxy takes for it and cannot pass on is held by the proxy.
        small_window = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)]
        transport = _Named(verify=self.tls, socket_options=small_window)
        url = f"https://127.0.0.1:{self.port}"
        return httpx.Client(base_url=url, headers=headers, transport=transport, timeout=PATIENCE_SECONDS)

    def files(self) -> list[str]:
        """The files, but for its log, that it holds open, and those in its temporary folders."""
        found = [str(path) for path in (self.folder / "temp").rglob("*") if path.is_file()]
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            if entry.is_file() and os.readlink(entry) != str(self.folder / "log"):
                found.append(os.readlink(entry))
        return found

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)


class _Named(httpx.HTTPTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = NAME
        return super().handle_request(request)


def nginx(block: str, server: Server, folder: Path, port: int) -> Proxy:
    """With the page's block in the place of a file of its `sites-enabled`."""
    (folder / "temp").mkdir(parents=True)
    certificate, key = write_certificate(folder, NAME)
    block = changed(
        block,
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("/etc/ssl/photos/fullchain.pem", str(certificate)),
        ("/etc/ssl/photos/privkey.pem", str(key)),
        ("http://127.0.0.1:8080", server.url),
    )
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, block=block), encoding="utf-8")
    command = [program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return _started(command, server, folder, port, lambda: trusting(certificate))


def caddy(block: str, server: Server, folder: Path, port: int) -> Proxy:
    """With the page's block as a site of its Caddyfile. Its certificate comes from an authority of its own."""
    folder.mkdir()
    block = changed(block, ("127.0.0.1:8080", server.url.removeprefix("http://")))
    (folder / "Caddyfile").write_text(_CADDY.format(folder=folder, port=port, block=block), encoding="utf-8")
    command = [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    root = folder / "caddy/pki/authorities/local/root.crt"
    return _started(command, server, folder, port, lambda: trusting(root))


def changed(block: str, *changes: tuple[str, str]) -> str:
    """The block with what is another on this machine; all of it has to stand there."""
    for there, here in changes:
        assert there in block, there
        block = block.replace(there, here)
    return block


def _started(command: list[str], server: Server, folder: Path, port: int, trust: Callable[[], ssl.SSLContext]) -> Proxy:
    log = folder / "log"
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with log.open("wb") as told:
        process = subprocess.Popen(command, stdout=told, stderr=told, env=environment)
    proxy = Proxy(server, folder, port, process, ssl.create_default_context())

    def answers() -> Any:
        assert process.poll() is None, log.read_text(encoding="utf-8")[-2_000:]
        try:
            proxy.tls = trust()
            with proxy.client() as client:
                return client.get("/healthz").status_code == 200
        except (httpx.TransportError, OSError):
            return False

    try:
        until(answers, f"{command[0]} to answer")
    except BaseException:
        proxy.close()
        raise
    return proxy
