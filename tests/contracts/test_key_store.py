"""The contract of `ports.key_store.KeyStore`, for every adapter."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mayfly.model.errors import KeyDestroyed, KeyNotMade, StorageFull
from mayfly.model.identity import ImageId
from mayfly.model.instant import MINUTE, Minute, Ms, Week
from mayfly.model.retention import Retention
from mayfly.ports.key_store import KEY_BYTES, KeyStore

if TYPE_CHECKING:
    from contracts.conftest import Race, Subject

FIRST = Minute(29_833_334)
THIS_WEEK = Week(2_959)


def minute(number: int) -> Minute:
    """The minute that lies `number` after the first."""
    return Minute(FIRST + number)


def minutes(first: int, last: int) -> list[Minute]:
    return [minute(number) for number in range(first, last + 1)]


def week(number: int) -> Week:
    return Week(THIS_WEEK + number)


def dying_in(number: int) -> ImageId:
    return ImageId.new(Ms((minute(number) - 1) * MINUTE), Retention(1))


class TestMaking:
    def test_a_new_store_has_no_keys_and_no_mark(self, keys: KeyStore) -> None:
        assert keys.high_water() is None
        assert keys.live() == []
        with pytest.raises(KeyNotMade):
            keys.key(FIRST)

    def test_every_minute_of_the_range_gets_a_key(self, keys: KeyStore) -> None:
        assert keys.provide(minute(0), minute(9)) == 10
        assert keys.live() == minutes(0, 9)
        assert keys.high_water() == minute(9)

    def test_keys_are_bytes_that_differ_and_stay(self, kept_keys: "Subject[KeyStore]") -> None:
        kept_keys.opened.provide(minute(0), minute(9))
        before = [kept_keys.opened.key(at) for at in minutes(0, 9)]
        assert all(len(key) == KEY_BYTES for key in before)
        assert len(set(before)) == 10
        assert [kept_keys.opened.key(at) for at in minutes(0, 9)] == before
        assert [kept_keys.reopen().key(at) for at in minutes(0, 9)] == before

    def test_no_key_is_made_above_the_range(self, keys: KeyStore) -> None:
        keys.provide(minute(0), minute(9))
        with pytest.raises(KeyNotMade):
            keys.key(minute(10))

    def test_what_has_a_key_keeps_it_and_only_the_rest_is_made(self, keys: KeyStore) -> None:
        keys.provide(minute(0), minute(4))
        before = keys.key(minute(4))
        assert keys.provide(minute(0), minute(6)) == 2
        assert keys.provide(minute(0), minute(6)) == 0
        assert keys.key(minute(4)) == before
        assert keys.live() == minutes(0, 6)

    def test_a_minute_below_the_mark_is_never_made_though_it_never_had_a_key(self, keys: KeyStore) -> None:
        keys.provide(minute(5), minute(6))
        assert keys.provide(minute(0), minute(4)) == 0
        assert keys.live() == minutes(5, 6)
        with pytest.raises(KeyDestroyed):
            keys.key(minute(4))

    def test_minutes_may_be_left_out_and_are_then_lost(self, keys: KeyStore) -> None:
        keys.provide(minute(0), minute(1))
        assert keys.provide(minute(5), minute(6)) == 2
        assert keys.live() == [*minutes(0, 1), *minutes(5, 6)]
        with pytest.raises(KeyDestroyed):
            keys.key(minute(3))

    def test_an_empty_range_makes_nothing_and_moves_no_mark(self, keys: KeyStore) -> None:
        assert keys.provide(minute(5), minute(4)) == 0
        assert keys.high_water() is None
        assert keys.live() == []

    def test_racing_providers_make_each_key_once(self, keys: KeyStore, race: "Race") -> None:
        def provide_and_read(_: int) -> tuple[int, tuple[bytes, ...]]:
            made = keys.provide(minute(0), minute(19))
            return made, tuple(keys.key(at) for at in minutes(0, 19))

        outcomes = race(20, provide_and_read)
        made = [outcome[0] for outcome in outcomes if isinstance(outcome, tuple)]
        assert sum(made) == 20
        assert len({outcome[1] for outcome in outcomes if isinstance(outcome, tuple)}) == 1


class TestFullness:
    def test_exactly_the_slots_there_are_can_be_filled(self, keys: KeyStore, slots: int) -> None:
        assert keys.provide(minute(0), minute(slots - 1)) == slots
        assert len(keys.live()) == slots

    def test_a_full_store_refuses_and_makes_nothing(self, kept_keys: "Subject[KeyStore]", slots: int) -> None:
        kept_keys.opened.provide(minute(0), minute(slots - 1))
        with pytest.raises(StorageFull):
            kept_keys.opened.provide(minute(slots), minute(slots))
        for keys in (kept_keys.opened, kept_keys.reopen()):
            assert keys.live() == minutes(0, slots - 1)
            assert keys.high_water() == minute(slots - 1)
            with pytest.raises(KeyNotMade):
                keys.key(minute(slots))

    def test_a_range_that_fits_in_part_is_refused_whole(self, keys: KeyStore, slots: int) -> None:
        keys.provide(minute(0), minute(slots - 3))
        with pytest.raises(StorageFull):
            keys.provide(minute(slots - 2), minute(slots))
        assert keys.high_water() == minute(slots - 3)
        assert keys.provide(minute(slots - 2), minute(slots - 1)) == 2

    def test_a_range_longer_than_the_store_is_refused(self, keys: KeyStore, slots: int) -> None:
        with pytest.raises(StorageFull):
            keys.provide(minute(0), minute(slots))
        assert keys.high_water() is None
        assert keys.live() == []

    def test_destroying_the_oldest_makes_room_for_the_next(self, keys: KeyStore, slots: int) -> None:
        keys.provide(minute(0), minute(slots - 1))
        keys.destroy([minute(0), minute(1)])
        assert keys.provide(minute(slots), minute(slots + 1)) == 2
        with pytest.raises(StorageFull):
            keys.provide(minute(slots + 2), minute(slots + 2))

    def test_a_full_store_asked_for_what_it_has_is_content(self, keys: KeyStore, slots: int) -> None:
        keys.provide(minute(0), minute(slots - 1))
        assert keys.provide(minute(0), minute(slots - 1)) == 0


class TestDestroying:
    def test_a_destroyed_key_is_gone_for_good(self, kept_keys: "Subject[KeyStore]") -> None:
        kept_keys.opened.provide(minute(0), minute(9))
        assert kept_keys.opened.destroy([minute(3)]) == 1
        for keys in (kept_keys.opened, kept_keys.reopen()):
            with pytest.raises(KeyDestroyed):
                keys.key(minute(3))
            assert keys.live() == [*minutes(0, 2), *minutes(4, 9)]

    def test_a_destroyed_key_is_never_made_again(self, kept_keys: "Subject[KeyStore]") -> None:
        kept_keys.opened.provide(minute(0), minute(4))
        kept_keys.opened.destroy(minutes(0, 4))
        for keys in (kept_keys.opened, kept_keys.reopen()):
            assert keys.provide(minute(0), minute(4)) == 0
            with pytest.raises(KeyDestroyed):
                keys.key(minute(4))

    def test_the_mark_survives_the_destruction_of_every_key(self, kept_keys: "Subject[KeyStore]") -> None:
        kept_keys.opened.provide(minute(0), minute(4))
        kept_keys.opened.destroy(minutes(0, 4))
        assert kept_keys.opened.high_water() == minute(4)
        assert kept_keys.reopen().high_water() == minute(4)

    def test_it_repeats_harmlessly_and_counts_what_lived(self, keys: KeyStore) -> None:
        keys.provide(minute(0), minute(4))
        assert keys.destroy(iter(minutes(0, 2))) == 3
        assert keys.destroy(minutes(0, 3)) == 1
        assert keys.destroy(minutes(0, 3)) == 0
        assert keys.destroy([]) == 0

    def test_the_others_keep_their_keys(self, keys: KeyStore) -> None:
        keys.provide(minute(0), minute(4))
        before = keys.key(minute(4))
        keys.destroy(minutes(0, 3))
        assert keys.key(minute(4)) == before

    def test_a_minute_that_was_never_made_is_left_as_it_is(self, keys: KeyStore) -> None:
        keys.provide(minute(0), minute(0))
        assert keys.destroy([minute(7)]) == 0
        with pytest.raises(KeyNotMade):
            keys.key(minute(7))
        assert keys.provide(minute(1), minute(7)) == 7

    def test_racing_destroyers_count_each_key_once(self, keys: KeyStore, race: "Race") -> None:
        keys.provide(minute(0), minute(9))
        counted = race(20, lambda _: keys.destroy(minutes(0, 9)))
        assert sum(count for count in counted if isinstance(count, int)) == 10

    def test_makers_and_destroyers_at_once_leave_a_whole_store(self, keys: KeyStore, race: "Race") -> None:
        def act(number: int) -> int:
            if number % 2:
                return keys.destroy(minutes(0, number))
            return keys.provide(minute(0), minute(number))

        race(30, act)
        keys.provide(minute(0), minute(29))
        keys.destroy(minutes(0, 29))
        assert keys.live() == []
        assert keys.high_water() == minute(29)


class TestErasures:
    def test_what_was_erased_is_remembered(self, kept_keys: "Subject[KeyStore]") -> None:
        kept_keys.opened.provide(minute(0), minute(4))
        erased, other = dying_in(3), dying_in(3)
        kept_keys.opened.remember_erased(erased)
        for keys in (kept_keys.opened, kept_keys.reopen()):
            assert keys.is_erased(erased)
            assert not keys.is_erased(other)
            assert keys.erased(minute(3)) == frozenset({erased})
            assert keys.erased(minute(2)) == frozenset()

    def test_remembering_repeats_harmlessly(self, keys: KeyStore) -> None:
        keys.provide(minute(0), minute(0))
        erased = dying_in(0)
        keys.remember_erased(erased)
        keys.remember_erased(erased)
        assert keys.erased(minute(0)) == frozenset({erased})

    def test_the_memory_dies_with_the_key(self, kept_keys: "Subject[KeyStore]") -> None:
        kept_keys.opened.provide(minute(0), minute(1))
        dead, living = dying_in(0), dying_in(1)
        kept_keys.opened.remember_erased(dead)
        kept_keys.opened.remember_erased(living)
        kept_keys.opened.destroy([minute(0)])
        for keys in (kept_keys.opened, kept_keys.reopen()):
            assert not keys.is_erased(dead)
            assert keys.erased(minute(0)) == frozenset()
            assert keys.erased(minute(1)) == frozenset({living})

    def test_after_the_key_died_nothing_is_remembered_any_more(self, keys: KeyStore) -> None:
        keys.provide(minute(0), minute(0))
        keys.destroy([minute(0)])
        late = dying_in(0)
        with pytest.raises(KeyDestroyed):
            keys.remember_erased(late)
        assert not keys.is_erased(late)

    def test_before_the_key_is_made_nothing_is_remembered_yet(self, keys: KeyStore) -> None:
        keys.provide(minute(0), minute(0))
        early = dying_in(5)
        with pytest.raises(KeyNotMade):
            keys.remember_erased(early)
        assert not keys.is_erased(early)

    def test_many_are_remembered_at_once(self, kept_keys: "Subject[KeyStore]", race: "Race") -> None:
        kept_keys.opened.provide(minute(0), minute(3))
        ids = [dying_in(number % 4) for number in range(40)]
        race(40, lambda number: kept_keys.opened.remember_erased(ids[number]))
        reopened = kept_keys.reopen()
        assert frozenset[ImageId]().union(*(reopened.erased(at) for at in minutes(0, 3))) == set(ids)

    def test_room_of_the_dead_is_used_again_without_confusion(self, kept_keys: "Subject[KeyStore]") -> None:
        kept_keys.opened.provide(minute(0), minute(5))
        for number in range(5):
            kept_keys.opened.remember_erased(dying_in(number))
            kept_keys.opened.destroy([minute(number)])
        last = dying_in(5)
        kept_keys.opened.remember_erased(last)
        reopened = kept_keys.reopen()
        assert [reopened.erased(at) for at in minutes(0, 5)] == [frozenset()] * 5 + [frozenset({last})]


class TestWeeks:
    def test_before_the_first_turn_no_week_has_a_key(self, keys: KeyStore) -> None:
        with pytest.raises(KeyNotMade):
            keys.week_key(THIS_WEEK)

    def test_a_turn_makes_this_weeks_and_the_nexts(self, kept_keys: "Subject[KeyStore]") -> None:
        kept_keys.opened.turn_weeks(week(0))
        these = kept_keys.opened.week_key(week(0)), kept_keys.opened.week_key(week(1))
        assert all(len(key) == KEY_BYTES for key in these)
        assert these[0] != these[1]
        reopened = kept_keys.reopen()
        assert (reopened.week_key(week(0)), reopened.week_key(week(1))) == these
        with pytest.raises(KeyNotMade):
            reopened.week_key(week(2))

    def test_turning_again_within_the_week_changes_nothing(self, keys: KeyStore) -> None:
        keys.turn_weeks(week(0))
        before = keys.week_key(week(0)), keys.week_key(week(1))
        keys.turn_weeks(week(0))
        assert (keys.week_key(week(0)), keys.week_key(week(1))) == before

    def test_the_week_before_is_kept_and_older_ones_are_destroyed(self, kept_keys: "Subject[KeyStore]") -> None:
        keys = kept_keys.opened
        keys.turn_weeks(week(0))
        before = [keys.week_key(week(0)), keys.week_key(week(1))]
        keys.turn_weeks(week(1))
        before.append(keys.week_key(week(2)))
        assert [keys.week_key(week(number)) for number in (0, 1, 2)] == before
        keys.turn_weeks(week(2))
        for view in (keys, kept_keys.reopen()):
            with pytest.raises(KeyDestroyed):
                view.week_key(week(0))
            assert [view.week_key(week(number)) for number in (1, 2)] == before[1:]
            assert len(view.week_key(week(3))) == KEY_BYTES

    def test_after_weeks_off_all_old_keys_are_destroyed(self, keys: KeyStore) -> None:
        keys.turn_weeks(week(0))
        keys.turn_weeks(week(20))
        for number in (0, 1):
            with pytest.raises(KeyDestroyed):
                keys.week_key(week(number))
        assert len({keys.week_key(week(20)), keys.week_key(week(21))}) == 2

    def test_a_destroyed_weeks_key_is_never_made_again(self, kept_keys: "Subject[KeyStore]") -> None:
        kept_keys.opened.turn_weeks(week(0))
        kept_keys.opened.turn_weeks(week(5))
        kept_keys.reopen().turn_weeks(week(0))
        with pytest.raises(KeyDestroyed):
            kept_keys.opened.week_key(week(0))

    def test_weeks_and_minutes_do_not_meet(self, keys: KeyStore) -> None:
        keys.turn_weeks(week(0))
        assert keys.high_water() is None
        keys.provide(minute(0), minute(1))
        before = keys.week_key(week(0))
        keys.destroy(minutes(0, 1))
        assert keys.week_key(week(0)) == before

    def test_racing_turns_make_each_weeks_key_once(self, keys: KeyStore, race: "Race") -> None:
        def turn_and_read(_: int) -> tuple[bytes, bytes]:
            keys.turn_weeks(week(0))
            return keys.week_key(week(0)), keys.week_key(week(1))

        assert len(set(race(20, turn_and_read))) == 1


class Model(RuleBasedStateMachine):
    """A key store beside two dictionaries. Minutes stay within the slots: fullness has its own tests."""

    def __init__(self, open_keys: Callable[[], "AbstractContextManager[Subject[KeyStore]]"]) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._subject = self._stack.enter_context(open_keys())
        self._mark = -1
        self._keys: dict[int, bytes] = {}
        self._erased: dict[int, set[ImageId]] = {}

    @property
    def _store(self) -> KeyStore:
        return self._subject.opened

    @rule(first=st.integers(0, 40), length=st.integers(0, 8))
    def provide(self, first: int, length: int) -> None:
        wanted = [number for number in range(first, first + length) if number > self._mark]
        assert self._store.provide(minute(first), minute(first + length - 1)) == len(wanted)
        for number in wanted:
            self._keys[number] = self._store.key(minute(number))
            self._mark = number

    @rule(numbers=st.lists(st.integers(0, 50), max_size=6, unique=True))
    def destroy(self, numbers: list[int]) -> None:
        lived = [self._keys.pop(number) for number in numbers if number in self._keys]
        for number in numbers:
            self._erased.pop(number, None)
        assert self._store.destroy([minute(number) for number in numbers]) == len(lived)

    @rule(number=st.integers(0, 50))
    def erase(self, number: int) -> None:
        image_id = dying_in(number)
        if number in self._keys:
            self._store.remember_erased(image_id)
            self._erased.setdefault(number, set()).add(image_id)
            return
        with pytest.raises(KeyDestroyed if number <= self._mark else KeyNotMade):
            self._store.remember_erased(image_id)

    @rule()
    def reopen(self) -> None:
        self._subject.reopen()

    @rule(number=st.integers(0, 50))
    def ask(self, number: int) -> None:
        if number in self._keys:
            assert self._store.key(minute(number)) == self._keys[number]
            return
        with pytest.raises(KeyDestroyed if number <= self._mark else KeyNotMade):
            self._store.key(minute(number))

    @invariant()
    def agrees(self) -> None:
        assert self._store.live() == [minute(number) for number in sorted(self._keys)]
        assert self._store.high_water() == (None if self._mark < 0 else minute(self._mark))
        for number in range(51):
            assert self._store.erased(minute(number)) == self._erased.get(number, frozenset())

    def teardown(self) -> None:
        self._stack.close()


def test_any_order_of_calls_leaves_what_a_dictionary_would_hold(
    open_keys: Callable[[], "AbstractContextManager[Subject[KeyStore]]"],
) -> None:
    class Bound(Model):
        def __init__(self) -> None:
            super().__init__(open_keys)

    run_state_machine_as_test(Bound, settings=settings(max_examples=25, stateful_step_count=25, deadline=None))
