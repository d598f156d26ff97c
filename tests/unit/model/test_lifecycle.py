"""The states of an image and the moves between them, as DESIGN's section "One image's life" tells them."""

import pytest

from mayfly.model.lifecycle import MOVES, State, may_move

ALLOWED = {
    (State.AWAITED, State.RECEIVED),
    (State.RECEIVED, State.PROCESSING),
    (State.PROCESSING, State.PROCESSED),
    (State.PROCESSING, State.FAILED),
    (State.PROCESSING, State.REJECTED),
    (State.PROCESSING, State.RECEIVED),
    (State.FAILED, State.RECEIVED),
    (State.REJECTED, State.RECEIVED),
    (State.PROCESSED, State.RECEIVED),
} | {(state, State.PURGED) for state in State if state is not State.PURGED}


@pytest.mark.parametrize("origin", State)
@pytest.mark.parametrize("target", State)
def test_exactly_the_told_moves_are_allowed(origin: State, target: State) -> None:
    assert may_move(origin, target) == ((origin, target) in ALLOWED)


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(State)


@pytest.mark.parametrize("state", [state for state in State if state is not State.PURGED])
def test_every_state_is_reached_from_the_first_and_ends_purged(state: State) -> None:
    assert state in reached_from(State.AWAITED)
    assert may_move(state, State.PURGED)


def test_nothing_comes_back_from_the_dead() -> None:
    assert reached_from(State.PURGED) == {State.PURGED}


def reached_from(origin: State) -> set[State]:
    found, waiting = {origin}, [origin]
    while waiting:
        for target in MOVES[waiting.pop()] - found:
            found.add(target)
            waiting.append(target)
    return found
