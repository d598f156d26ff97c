"""How old a record may be; and that no replay brings back what is over, nor lengthens a life."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from journeys.test_kafka import dead_letters, id_of, kafka, listed, now_ms, until_done
from journeys.test_metrics import figure
from mayfly.model.instant import Ms
from mayfly.model.retention import Retention
from support.server import MakeServer, Server, until
from support.topics import Message, Topics

HOUR, DAY = 3_600_000, 86_400_000
"""Milliseconds."""
SHORT = Retention.parse("PT2H")


@dataclass
class Stream:
    """A server whose clock is moved, and its topic of one partition."""

    server: Server
    broker: Topics
    topic: str
    ahead_ms: int = 0

    def now(self) -> int:
        """By the server's clock."""
        return now_ms() + self.ahead_ms

    def move_to(self, instant_ms: int) -> None:
        self.ahead_ms = instant_ms - now_ms()
        self.server.move_clock(self.ahead_ms / 1_000)

    def produce(self, *messages: Message) -> list[Message]:
        return self.broker.produce(self.topic, *messages)

    def status(self, identity: str) -> int:
        return self.server.get(f"/v1/images/{identity}").status_code

    def done_with(self, **outcomes: int) -> None:
        """Everything is settled, and so many records came to each end."""
        until_done(self.broker, self.topic)
        for outcome, count in outcomes.items():
            until(partial(self.counted, outcome), f"{outcome} to be counted")
            assert self.counted(outcome) == count, outcome

    def counted(self, outcome: str) -> float:
        return figure(self.server, "mayfly_stream_records_total", outcome=outcome)

    def replay(self, config: str = "") -> None:
        """The whole topic once more, under these settings."""
        assert self.server.stop() == 0
        self.broker.commit(f"g-{self.topic}", self.topic, {0: 0})
        self.server.config = config
        self.server.start()

    def there(self) -> list[Any]:
        """Every record and every object, however it changed."""
        images = sorted((one["id"], one["expires_at"], one["attempts"]) for one in listed(self.server))
        return [images, sorted(self.server.objects())]


@pytest.fixture
def stream(make_server: MakeServer, broker: Topics) -> Stream:
    # It keeps what is old, and takes what is of our time once our clock was moved ahead.
    topic = broker.create_topic(retention_ms="-1", message_timestamp_after_max_ms=str(30 * DAY))
    server = make_server(movable=True, options=kafka(broker, topic), environment=dead_letters(topic))
    return Stream(server.start(), broker, topic)


def ms(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1_000)


def test_a_record_lives_what_is_left_of_its_retention_and_no_replay_brings_it_back(
    stream: Stream, small: bytes
) -> None:
    began = stream.now()
    ages = (7 * DAY - HOUR, 8 * DAY, HOUR, HOUR)
    written = stream.produce(*(Message(small + bytes([n]), timestamp=began - age) for n, age in enumerate(ages)))
    old, overdue, erased, living = (id_of(message, stream.topic) for message in written)
    stream.done_with(created=3, due=1)
    assert sorted(one["id"] for one in listed(stream.server)) == sorted([old, erased, living])
    assert stream.status(overdue) == 410, "its id says when it died"
    assert not any(overdue in name for name in stream.server.objects())
    for identity in (old, erased, living):
        stream.server.until_state(identity, "processed")

    # An hour is left of it; the clock stands close to its end, and then behind it.
    end = ms(stream.server.image(old)["expires_at"])
    assert began + HOUR - 1_000 < end <= began + HOUR
    stream.move_to(end - 20_000)
    assert stream.status(old) == 200
    assert stream.server.get(f"/v1/images/{old}/original").content == small + b"\0"
    assert stream.now() < end
    stream.move_to(end + 1)
    assert stream.status(old) == 410
    assert stream.server.request("DELETE", f"/v1/images/{erased}").status_code == 204
    stream.move_to(end + 120_000)
    until(lambda: all(living in name for name in stream.server.objects()), "the purge")
    until(lambda: [one["id"] for one in listed(stream.server)] == [living], "the records to go")
    before = stream.there()

    stream.replay()
    stream.done_with(due=2, erased=1, found=1)
    assert stream.there() == before, "after the purge and the erasure"

    stream.replay(f'kafka_retention = "{SHORT}"')
    stream.done_with(due=2, erased=1, found=1)
    assert stream.there() == before, "its birth was under the longer retention"
    (message,) = stream.produce(Message(small + b"\4", timestamp=stream.now()))
    short = id_of(message, stream.topic, SHORT)
    stream.server.until_state(until(lambda: stream.status(short) == 200 and short, "the short-lived one"), "processed")
    assert ms(stream.server.image(short)["expires_at"]) == SHORT.expires_at(Ms(message.timestamp))
    stream.move_to(message.timestamp + 2 * HOUR + 120_000)
    until(lambda: all(living in name for name in stream.server.objects()), "the second purge")
    until(lambda: [one["id"] for one in listed(stream.server)] == [living], "the record to go")

    # By the longer retention alone it would have days to live.
    stream.replay('kafka_retention = "P7D"')
    stream.done_with(due=3, erased=1, found=1)
    assert stream.there() == before, "its birth was under the shorter retention"
