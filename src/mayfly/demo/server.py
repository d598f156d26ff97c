"""Starting and stopping a real Mayfly, as its user would: the program, a data folder, a key folder, a clock file."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import httpx

_STARTS_WITHIN_S = 60
_STOPS_WITHIN_S = 20
_LOOKS_EVERY_S = 0.05


class DemoBroken(Exception):
    """The demonstration cannot go on; `str()` says why."""


class Server:
    """One running server; leaving the context stops it. It listens on a free port of the loopback address."""

    def __init__(self, data: Path, keys: Path, clock: Path, log: Path) -> None:
        """`log` gets what it prints on stderr; its stdout lies beside it."""
        self._log = log
        self._said = log.with_suffix(".out")
        command = [sys.executable, "-m", "mayfly", "up", "--host", "127.0.0.1", "--port", "0"]
        folders = ["--data", str(data), "--keys", str(keys), "--clock", str(clock)]
        # The user's own settings would change what is shown: none reach it, neither by variable nor by mayfly.toml.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAYFLY_")}
        with self._said.open("wb") as out, log.open("wb") as err:
            self._process = subprocess.Popen(
                [*command, *folders], stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, cwd=log.parent
            )
        self.address = ""

    def __enter__(self) -> "Server":
        try:
            deadline = time.monotonic() + _STARTS_WITHIN_S
            self.address = self._first_line(deadline)
            self._await_readiness(deadline)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _first_line(self, deadline: float) -> str:
        while b"\n" not in (said := self._said.read_bytes()):
            self._look_again(deadline, "printed no address")
        return said.split(b"\n", 1)[0].decode().strip()

    def _await_readiness(self, deadline: float) -> None:
        while True:
            try:
                if httpx.get(f"{self.address}/readyz", timeout=5, trust_env=False).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass  # not listening yet; whether it still lives is asked below
            except httpx.UnsupportedProtocol as error:
                raise DemoBroken(f"the server's first line is no address: {self.address!r}") from error
            self._look_again(deadline, "did not become ready")

    def _look_again(self, deadline: float, otherwise: str) -> None:
        if self._process.poll() is not None:
            raise DemoBroken(f"the server ended with {self._process.returncode}:\n{self._last_words()}")
        if time.monotonic() > deadline:
            raise DemoBroken(f"the server {otherwise} within {_STARTS_WITHIN_S} s:\n{self._last_words()}")
        time.sleep(_LOOKS_EVERY_S)

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]
