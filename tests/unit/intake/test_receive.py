"""What a refusal leaves behind: nothing, no place among the uploads either."""

import pytest

from mayfly.intake.receive import Intake, IntakeLimits, Submission
from mayfly.model.errors import UnknownType
from mayfly.model.retention import Retention
from support.house import START, House

LIMITS = IntakeLimits(max_bytes=1_000, max_pixels=1_000, max_uploads=2, retention=Retention(60), labels={})


def test_a_declared_type_that_is_not_taken_leaves_the_place_free() -> None:
    house = House()
    intake = Intake(house.vault, house.objects, house.metadata, house.keys, house.clock, LIMITS, house.told)
    for _ in range(LIMITS.max_uploads + 1):
        with pytest.raises(UnknownType):
            intake.begin(Submission(START, "local", declared_type="text/html"))
    assert intake.in_flight() == frozenset()
    intake.begin(Submission(START, "local")).abort()
