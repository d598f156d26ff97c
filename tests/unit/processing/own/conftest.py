"""What every test of a user's own step needs."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mayfly.processing.limits import MIB, Limits
from mayfly.processing.own.call import OwnSteps
from support.processes import descendants


@pytest.fixture
def bounds() -> Limits:
    return Limits(output=2 * MIB, pixels=1_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the user's code lies. Mayfly's tests may run as root, and then a step is nobody."""
    code = tmp_path / "code"
    code.mkdir(mode=0o755)
    return code


@pytest.fixture
def confined(tmp_path: Path) -> Iterator[OwnSteps]:
    """Steps that may not see DATA and KEYS; at the end no process of theirs is left."""
    for name in ("data", "keys"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secret").write_text("secret")
    before = set(descendants(os.getpid()))
    with OwnSteps([tmp_path / "data", tmp_path / "keys"]) as own:
        yield own
    assert set(descendants(os.getpid())) <= before
