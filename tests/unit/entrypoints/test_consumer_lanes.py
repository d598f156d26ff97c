"""What shares a key is taken one after another, in the order in which it came."""

import random

from mayfly.entrypoints.consumer_lanes import Lanes


def test_what_shares_no_key_is_taken_at_once() -> None:
    lanes: Lanes[str] = Lanes()
    assert lanes.add("first", ["a"])
    assert lanes.add("second", ["b"])
    assert lanes.remove("first") == []


def test_what_shares_a_key_waits_for_its_turn() -> None:
    lanes: Lanes[str] = Lanes()
    assert lanes.add("first", ["a"])
    assert not lanes.add("second", ["a"])
    assert not lanes.add("third", ["a"])
    assert lanes.remove("first") == ["second"]
    assert lanes.remove("second") == ["third"]
    assert lanes.remove("third") == []
    assert lanes.add("fourth", ["a"])


def test_two_keys_wait_for_both() -> None:
    lanes: Lanes[str] = Lanes()
    lanes.add("first", ["a"])
    lanes.add("second", ["b"])
    assert not lanes.add("third", ["a", "b"])
    assert lanes.remove("first") == []
    assert lanes.remove("second") == ["third"]


def test_one_that_gives_up_while_it_waits_lets_the_next_one_up() -> None:
    lanes: Lanes[str] = Lanes()
    lanes.add("first", ["a"])
    lanes.add("second", ["a"])
    lanes.add("third", ["a"])
    assert lanes.remove("second") == []
    assert lanes.remove("first") == ["third"]


def test_every_one_gets_its_turn_whatever_the_keys() -> None:
    dice = random.Random(7)
    lanes: Lanes[int] = Lanes()
    taken: list[int] = []
    ready = [item for item in range(300) if lanes.add(item, {dice.randrange(9), 9 + dice.randrange(3)})]
    while ready:
        item = ready.pop(dice.randrange(len(ready)))
        taken.append(item)
        ready += lanes.remove(item)
    assert sorted(taken) == list(range(300))
