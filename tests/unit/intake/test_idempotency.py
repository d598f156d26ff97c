"""One key, one image, whichever week's key its hash was made under."""

import pytest

from mayfly.adapters.memory.under_way import MemoryUnderWay
from mayfly.intake.idempotency import Held, Idempotency
from mayfly.model.errors import Busy, Erased, Expired, IdempotencyReused, InFlight
from mayfly.model.identity import ImageId
from mayfly.model.image import ImageRecord, Personal, Source
from mayfly.model.instant import MINUTE, SECOND, WEEK, Minute, Ms, minute_of, week_of
from mayfly.model.job import Job
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention
from support.house import START, House

DAYS_7 = Retention(10_080)
TURN = Ms((week_of(START) + 1) * WEEK)
"""When the next week begins."""


@pytest.fixture
def house() -> House:
    house = House()
    house.clock.set(Ms(TURN - SECOND))
    house.keys.provide(minute_of(START), Minute(minute_of(TURN) + 20_000))
    house.keys.turn_weeks(week_of(house.clock.now()))
    return house


def idempotency(house: House) -> Idempotency:
    return house.intake(MemoryUnderWay(1)).idempotency


def reserve(house: House, birth: int, text: str = "key", scope: str = "ada") -> Held:
    return idempotency(house).reserve(scope, text, ImageId.new(Ms(birth), DAYS_7))


def admit(house: House, held: Held, sha256: str = "aa") -> ImageId:
    image_id = held.reservation.image_id
    sealed = house.vault.seal_personal(image_id, Personal(sha256))
    record = ImageRecord(image_id, State.RECEIVED, Source.HTTP, "image/png", 3, sealed)
    house.metadata.admit(record, Job(image_id), held.reservation)
    return image_id


@pytest.mark.parametrize(("first", "second"), [(TURN - SECOND, TURN), (TURN, TURN - SECOND)])
def test_a_key_is_one_key_across_the_turn_of_a_week_in_either_direction(house: House, first: int, second: int) -> None:
    house.clock.set(TURN)
    assert admit(house, reserve(house, first)) == reserve(house, second).holder
    house.keys.turn_weeks(week_of(TURN))
    assert reserve(house, second).holder is not None


def test_one_that_is_under_way_is_waited_for_across_the_turn_of_a_week(house: House) -> None:
    house.clock.set(TURN)
    held = reserve(house, TURN - SECOND)
    with pytest.raises(InFlight):
        reserve(house, TURN)
    idempotency(house).give_back(held)
    assert reserve(house, TURN).holder is None


def test_the_same_image_meets_no_holder_but_itself(house: House) -> None:
    held = reserve(house, TURN - SECOND)
    again = idempotency(house).reserve("ada", "key", held.reservation.image_id)
    assert again == held
    admit(house, held)
    assert idempotency(house).reserve("ada", "key", held.reservation.image_id).holder is None


def test_scopes_and_texts_keep_apart(house: House) -> None:
    admit(house, reserve(house, TURN - SECOND))
    assert reserve(house, TURN - SECOND, scope="bob").holder is None
    assert reserve(house, TURN - SECOND, text="other").holder is None


def test_a_key_that_is_anothers_is_not_given_back(house: House) -> None:
    first = admit(house, reserve(house, TURN - SECOND))
    repeat = reserve(house, TURN - SECOND)
    idempotency(house).give_back(repeat)
    assert reserve(house, TURN - SECOND).holder == first


def test_who_comes_again_meets_the_image_or_hears_why_not(house: House) -> None:
    holder = admit(house, reserve(house, TURN - SECOND), sha256="aa")
    record, personal = idempotency(house).met(holder, "aa")
    assert (record, personal) == (house.metadata.get(holder), Personal("aa"))
    with pytest.raises(IdempotencyReused):
        idempotency(house).met(holder, "bb")
    house.metadata.delete(holder)
    with pytest.raises(Erased):
        idempotency(house).met(holder, "aa")
    house.clock.set(holder.expires_at)
    with pytest.raises(Expired):
        idempotency(house).met(holder, "aa")


def test_places_among_those_under_way_are_bounded_and_each_image_takes_one() -> None:
    under_way = MemoryUnderWay(2)
    one, two, three = (ImageId.new(Ms(START + each * MINUTE), DAYS_7) for each in range(3))
    under_way.enter(one)
    with pytest.raises(InFlight):
        under_way.enter(one)
    under_way.enter(two)
    with pytest.raises(Busy):
        under_way.enter(three)
    under_way.leave(one)
    under_way.leave(one)
    under_way.enter(three)
    assert under_way.ids() == {two, three}
