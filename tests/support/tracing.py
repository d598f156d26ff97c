"""Watching processes from outside, by strace."""

import os
import shutil
import subprocess

import pytest


def require_strace(what_for: str) -> None:
    """Skip the test where processes cannot be traced; in CI, fail."""
    missing = None
    if shutil.which("strace") is None:
        missing = f"strace is not installed: nothing shows here {what_for}"
    elif subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        missing = f"strace may not trace here: nothing shows here {what_for}"
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
