"""What a refusal leaves behind: nothing, no place among the uploads either."""

import pytest

from mayfly.adapters.memory.under_way import MemoryUnderWay
from mayfly.intake.receive import IntakeLimits, Submission, UploadDoor
from mayfly.model.errors import UnknownType
from mayfly.model.retention import Retention
from support.house import START, House

LIMITS = IntakeLimits(max_bytes=1_000, max_pixels=1_000, retention=Retention(60), labels={})


def test_a_declared_type_that_is_not_taken_leaves_the_place_free() -> None:
    house = House()
    under_way = MemoryUnderWay(2)
    door = UploadDoor(house.intake(under_way), LIMITS)
    for _ in range(3):
        with pytest.raises(UnknownType):
            door.begin(Submission(START, "local", declared_type="text/html"))
    assert under_way.ids() == frozenset()
    door.begin(Submission(START, "local")).abort()
