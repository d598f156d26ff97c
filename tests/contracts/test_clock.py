"""The contract of `ports.clock.Clock`, for every adapter. Real clocks run on, so instants are compared with slack."""

from collections.abc import Callable
from concurrent.futures import Future
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from mayfly.model.instant import MINUTE, Ms

if TYPE_CHECKING:
    from contracts.conftest import Subject, Turned

HOUR = 60 * MINUTE
DAY = 24 * HOUR


@pytest.fixture
def began(turned: "Subject[Turned]") -> Ms:
    return turned.opened.clock.now()


def test_time_follows_the_wall(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(DAY, True)
    assert began + DAY <= turned.opened.clock.now() < began + DAY + MINUTE


def test_now_never_goes_below_what_it_returned(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(DAY, True)
    returned = turned.opened.clock.now()
    turned.opened.turn(0, True)
    assert turned.opened.clock.now() >= returned


def test_time_goes_on_once_the_wall_has_caught_up(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(HOUR, True)
    turned.opened.clock.now()
    turned.opened.turn(0, True)
    turned.opened.turn(2 * HOUR, True)
    assert turned.opened.clock.now() >= began + 2 * HOUR


def test_no_thread_sees_time_go_back_while_the_wall_swings(
    turned: "Subject[Turned]", in_background: Callable[[Callable[[], object]], Future[object]]
) -> None:
    clock = turned.opened.clock
    futures = [in_background(lambda: [clock.now() for _ in range(300)]) for _ in range(8)]
    for swing in range(60):
        turned.opened.turn(HOUR * (swing % 3), True)
    for future in futures:
        seen = future.result(10)
        assert isinstance(seen, list)
        assert all(earlier <= later for earlier, later in pairwise(seen))


def test_now_never_goes_below_the_last_tick_even_when_opened_anew(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(DAY, True)
    turned.opened.clock.tick()
    turned.opened.turn(0, True)
    assert turned.reopen().clock.now() >= began + DAY


def test_what_was_not_ticked_is_forgotten_when_opened_anew(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(DAY, True)
    turned.opened.clock.now()
    turned.opened.turn(0, True)
    assert turned.reopen().clock.now() < began + DAY


def test_an_older_tick_is_never_put_over_a_younger_one(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(DAY, True)
    turned.opened.clock.tick()
    turned.opened.turn(0, True)
    turned.reopen().clock.tick()
    assert turned.reopen().clock.now() >= began + DAY


def test_a_clock_that_did_not_jump_is_not_held(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(DAY, True)
    assert not turned.opened.clock.held()


def test_a_jump_is_held_until_it_is_confirmed(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(DAY, False)
    assert turned.opened.clock.held()
    assert turned.opened.clock.held()
    turned.opened.clock.confirm()
    assert not turned.opened.clock.held()


def test_a_held_clock_says_what_the_wall_says_so_that_nothing_due_is_served(
    turned: "Subject[Turned]", began: Ms
) -> None:
    turned.opened.turn(DAY, False)
    assert turned.opened.clock.now() >= began + DAY


def test_confirming_keeps_the_time(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(DAY, False)
    turned.opened.clock.confirm()
    assert began + DAY <= turned.opened.clock.now() < began + DAY + MINUTE


def test_confirming_without_a_hold_changes_nothing(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.clock.confirm()
    assert not turned.opened.clock.held()
    assert began <= turned.opened.clock.now() < began + MINUTE


def test_a_second_jump_is_held_again(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(DAY, False)
    turned.opened.clock.confirm()
    turned.opened.turn(2 * DAY, False)
    assert turned.opened.clock.held()


def test_a_jump_that_is_set_right_never_happened(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(DAY, False)
    turned.opened.clock.now()
    turned.opened.turn(0, True)
    turned.opened.clock.confirm()
    assert began <= turned.opened.clock.now() < began + MINUTE


def test_a_held_clock_persists_nothing(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(DAY, False)
    assert turned.opened.clock.held()
    turned.opened.clock.tick()
    turned.opened.turn(0, True)
    assert turned.reopen().clock.now() < began + DAY


def test_a_confirmed_jump_is_persisted_by_the_next_tick(turned: "Subject[Turned]", began: Ms) -> None:
    turned.opened.turn(DAY, False)
    turned.opened.clock.confirm()
    turned.opened.clock.tick()
    turned.opened.turn(0, True)
    assert turned.reopen().clock.now() >= began + DAY
