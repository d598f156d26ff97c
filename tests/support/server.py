"""A real server under test: its own folders, a free port, ended with the test."""

import contextlib
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

PATIENCE_SECONDS = 60.0
"""How long a journey waits for what must come. Long, because the machine may be busy; never slept through."""

WEEK_SECONDS = 7 * 86_400

_NO_TLS = ssl.create_default_context()
"""Made once: reading the certificates for each request would take longer than the request."""

Check = Callable[[], Any]


def until(check: Check, what: str, patience: float = PATIENCE_SECONDS) -> Any:
    """Poll until `check` gives something true, and give that."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {patience:.0f} s in vain for {what}")


@dataclass
class Server:
    """`mayfly up` in a process of its own. `clock` is its clock file, where it was given one."""

    folder: Path
    clock: Path | None = None
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    config: str = ""
    wrapper: tuple[str, ...] = ()
    token: str = ""
    """Shown with every request that shows none of its own."""
    tls: ssl.SSLContext = field(default=_NO_TLS)
    url: str = ""
    process: subprocess.Popen[str] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def command(self) -> list[str]:
        settings = self.folder / "mayfly.toml"
        settings.write_text(self.config, encoding="utf-8")
        clock = () if self.clock is None else ("--clock", str(self.clock))
        folders = ("--data", str(self.data), "--keys", str(self.keys), "--config", str(settings))
        return [*self.wrapper, sys.executable, "-m", "mayfly", "up", "--port", "0", *folders, *clock, *self.options]

    def start(self, *, ready: bool = True) -> "Server":
        """Start, learn the address from the first line, and wait until it is ready."""
        with self.log.open("a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "MAYFLY_LOG_FORMAT": "json", **self.environment},
                start_new_session=True,
            )
        self.url = _first_line(self.process).strip()
        if not self.url.startswith("http"):
            self.close()
            raise AssertionError(f"no server: {self.log.read_text(encoding='utf-8')[-2_000:]}")
        if ready:
            until(lambda: self.get("/readyz").status_code == 200, "readiness")
        return self

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self._ended()

    def kill(self) -> None:
        """SIGKILL, as a power cut would look to the others."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self._ended()

    def _ended(self) -> int:
        assert self.process is not None
        code = self.process.wait(PATIENCE_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    def close(self) -> None:
        if self.process is not None:
            self.kill()

    def move_clock(self, seconds: float, *, trusted: bool = True) -> None:
        """Set the clock that far from real time."""
        assert self.clock is not None
        part = self.clock.with_suffix(".part")
        part.write_text(f"{seconds:+.3f}" + ("" if trusted else " untrusted"), encoding="utf-8")
        part.replace(self.clock)

    def get(self, path: str, **how: Any) -> httpx.Response:
        return self.request("GET", path, **how)

    def post(self, path: str, **how: Any) -> httpx.Response:
        return self.request("POST", path, **how)

    def request(self, method: str, path: str, **how: Any) -> httpx.Response:
        headers = httpx.Headers(how.pop("headers", None))
        if self.token and "authorization" not in headers:
            headers["authorization"] = f"Bearer {self.token}"
        return httpx.request(
            method, self.url + path, timeout=PATIENCE_SECONDS, verify=self.tls, trust_env=False, headers=headers, **how
        )

    def upload(self, body: bytes, **parameters: str) -> dict[str, Any]:
        """Upload raw bytes; the image as answered."""
        response = self.post("/v1/images", content=body, params=parameters)
        assert response.status_code == 201, response.text
        image: dict[str, Any] = response.json()
        return image

    def image(self, identity: str) -> dict[str, Any]:
        response = self.get(f"/v1/images/{identity}")
        assert response.status_code == 200, response.text
        image: dict[str, Any] = response.json()
        return image

    def until_state(self, identity: str, *states: str) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            image = self.image(identity)
            return image if image["state"] in states else None

        found: dict[str, Any] = until(reached, f"{identity} to be {' or '.join(states)}")
        return found

    def children(self) -> list[int]:
        """Its worker processes."""
        return children_of(self.pid)

    def files(self) -> list[Path]:
        """Every file of both folders. (The owner's socket holds nothing.)"""
        found: list[Path] = []
        for root in (self.data, self.keys):
            for place, _, names in os.walk(root):
                found += [path for path in (Path(place, name) for name in names) if not path.is_socket()]
        return found

    def objects(self) -> list[str]:
        """The names of the objects that stand in the store."""
        return [path.name for path in self.files() if (self.data / "objects") in path.parents]


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line: list[str] = []
    reader = threading.Thread(target=lambda: line.append(process.stdout.readline() if process.stdout else ""))
    reader.start()
    reader.join(PATIENCE_SECONDS)
    return line[0] if line else ""


MakeServer = Callable[..., Server]
