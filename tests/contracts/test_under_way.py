"""The contract of `ports.under_way.UnderWay`, for every adapter."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from mayfly.model.errors import Busy, InFlight
from mayfly.model.image import ImageRecord

if TYPE_CHECKING:
    from contracts.conftest import Entered, Race

AnImage = Callable[..., ImageRecord]


def test_what_was_entered_is_under_way_until_it_leaves(entered: "Entered", an_image: AnImage) -> None:
    first, second = an_image().id, an_image().id
    entered.under_way.enter(first)
    entered.under_way.enter(second)
    assert entered.ids() == {first, second}
    entered.under_way.leave(first)
    assert entered.eventually({second})


def test_an_image_is_brought_in_by_one_at_a_time(entered: "Entered", an_image: AnImage) -> None:
    image_id = an_image().id
    entered.under_way.enter(image_id)
    with pytest.raises(InFlight):
        entered.under_way.enter(image_id)
    entered.under_way.leave(image_id)
    entered.under_way.enter(image_id)
    assert entered.eventually({image_id})


def test_leaving_what_was_not_entered_changes_nothing(entered: "Entered", an_image: AnImage) -> None:
    first, second = an_image().id, an_image().id
    entered.under_way.enter(first)
    entered.under_way.leave(second)
    entered.under_way.leave(second)
    assert entered.eventually({first})


def test_of_racing_entries_exactly_one_wins(entered: "Entered", an_image: AnImage, race: "Race") -> None:
    image_id = an_image().id
    outcomes = race(20, lambda _: entered.under_way.enter(image_id))
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, InFlight) for outcome in outcomes) == 19


def test_they_are_bounded(entered: "Entered", an_image: AnImage) -> None:
    ids = [an_image().id for _ in range(entered.most + 1)]
    for image_id in ids[:-1]:
        entered.under_way.enter(image_id)
    with pytest.raises(Busy):
        entered.under_way.enter(ids[-1])
    assert entered.ids() == set(ids[:-1])
    entered.under_way.leave(ids[0])
    entered.under_way.enter(ids[-1])
