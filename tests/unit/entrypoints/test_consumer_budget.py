"""Memory is bounded in bytes, and no partition takes all of it from the others."""

from mayfly.entrypoints.consumer_budget import Budget, weight
from mayfly.model.stream import Coordinates, Partition, StreamRecord

ONE, TWO, THREE, FOUR = (Partition("photos", number) for number in range(4))


def test_a_full_budget_pauses_all_until_half_of_it_is_free() -> None:
    budget = Budget(100)
    budget.spend(ONE, 45)
    budget.spend(TWO, 54)
    assert not budget.full([])
    budget.spend(TWO, 1)
    assert budget.full([])
    assert budget.sated([ONE, TWO, THREE], []) == {ONE, TWO, THREE}
    budget.give_back(ONE, 45)
    assert budget.full([])
    budget.give_back(TWO, 6)
    assert not budget.full([])


def test_one_partition_gets_half_where_there_are_others() -> None:
    budget = Budget(100)
    budget.spend(ONE, 50)
    assert budget.sated([ONE, TWO, THREE], []) == {ONE}
    budget.give_back(ONE, 24)
    assert budget.sated([ONE, TWO, THREE], []) == {ONE}
    budget.give_back(ONE, 1)
    assert budget.sated([ONE, TWO, THREE], []) == {ONE}
    budget.give_back(ONE, 1)
    assert budget.sated([ONE, TWO, THREE], []) == frozenset()


def test_a_partition_alone_gets_all() -> None:
    budget = Budget(100)
    budget.spend(ONE, 99)
    assert budget.sated([ONE], []) == frozenset()
    assert budget.sated([ONE], [ONE]) == frozenset()
    budget.spend(ONE, 1)
    assert budget.sated([ONE], []) == {ONE}


def test_a_partition_that_waits_gets_its_share() -> None:
    budget = Budget(100)
    budget.spend(ONE, 25)
    budget.spend(TWO, 25)
    assert budget.sated([ONE, TWO, THREE, FOUR], [TWO]) == {TWO}


def test_what_waits_keeps_no_room_from_the_others() -> None:
    budget = Budget(100)
    budget.spend(ONE, 60)
    budget.spend(TWO, 40)
    assert budget.full([ONE])
    budget.give_back(TWO, 19)
    assert budget.full([ONE])
    budget.give_back(TWO, 2)
    assert not budget.full([ONE])


def test_what_was_given_back_is_forgotten() -> None:
    budget = Budget(100)
    budget.spend(ONE, 25)
    budget.give_back(ONE, 25)
    assert budget.spent == 0


def test_a_record_weighs_more_than_its_bytes() -> None:
    empty = StreamRecord(Coordinates(ONE, 0), 1, None, (), None)
    full = StreamRecord(Coordinates(ONE, 0), 1, None, [("name", b"1234")], b"12")
    assert weight(full) - weight(empty) == 10
    assert weight(empty) > 0
