"""The contract of `ports.event_sink.EventSink`, for every adapter."""

from typing import TYPE_CHECKING

import pytest

from contracts.conftest import START
from mayfly.model.errors import Postponed, Refused, Unavailable
from mayfly.model.event import Event
from mayfly.model.identity import ImageId
from mayfly.model.image import Source
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention

if TYPE_CHECKING:
    from contracts.conftest import Race, Told


def an_event(sequence: int = 1) -> Event:
    return Event(sequence, ImageId.new(START, Retention(60)), State.PROCESSED, None, START, Source.HTTP, ("thumb",))


def test_what_is_delivered_is_taken_under_its_key(told: "Told") -> None:
    first, second = an_event(1), an_event(2)
    told.sink.deliver(first)
    told.sink.deliver(second)
    assert sorted(told.taken()) == sorted([first.key, second.key])


def test_a_repetition_comes_under_the_same_key(told: "Told") -> None:
    event = an_event()
    told.sink.deliver(event)
    told.sink.deliver(event)
    assert told.taken() == [event.key] * 2


def test_a_receiver_that_cannot_now_is_unavailable_and_takes_it_later(told: "Told") -> None:
    event = an_event()
    told.answer("later")
    with pytest.raises(Unavailable):
        told.sink.deliver(event)
    told.answer("take")
    told.sink.deliver(event)
    assert told.taken() == [event.key]


def test_a_receiver_that_says_when_to_come_back_is_heard(told: "Told") -> None:
    told.answer("in a minute")
    with pytest.raises(Unavailable) as caught:
        told.sink.deliver(an_event())
    assert isinstance(caught.value, Postponed) == told.says_when
    assert getattr(caught.value, "seconds", 60) == 60


def test_a_receiver_that_never_will_refuses(told: "Told") -> None:
    told.answer("never")
    with pytest.raises(Refused):
        told.sink.deliver(an_event())
    assert told.taken() == []


def test_many_threads_deliver_at_once(told: "Told", race: "Race") -> None:
    events = [an_event(number) for number in range(8)]
    assert race(8, lambda number: told.sink.deliver(events[number])) == [None] * 8
    assert sorted(told.taken()) == sorted(event.key for event in events)


def test_nothing_is_delivered_once_it_is_closed(told: "Told") -> None:
    told.sink.close()
    with pytest.raises(Unavailable):
        told.sink.deliver(an_event())
    assert told.taken() == []
