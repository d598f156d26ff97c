"""Tokens of a server under test, made as its people make them."""

import json
import subprocess
import sys
from typing import Any

from support.server import Server


def mayfly(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on the server's folders, in the way of `mayfly token`."""
    folders = ("--data", str(server.data), "--keys", str(server.keys))
    return subprocess.run(
        [sys.executable, "-m", "mayfly", *arguments, *folders],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=server.folder,
    )


def made_token(server: Server, role: str, *more: str) -> dict[str, Any]:
    """What `mayfly token create` tells."""
    run = mayfly(server, "token", "create", "--role", role, "--json", *more)
    assert run.returncode == 0, run.stderr
    made: dict[str, Any] = json.loads(run.stdout)
    return made
