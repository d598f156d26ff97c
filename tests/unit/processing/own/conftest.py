"""What every test of a user's own step needs."""

import pytest

from mayfly.processing.limits import MIB, Limits

BOUNDS = Limits(output=2 * MIB, pixels=1_000_000)


@pytest.fixture
def bounds() -> Limits:
    return BOUNDS
