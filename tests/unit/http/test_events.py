"""The stream of events: where it begins, what it sends, and what ends it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack
from typing import Any, cast

import pytest

from mayfly.adapters.memory.event_log import MemoryEventLog
from mayfly.entrypoints.http import streams as streams_module
from mayfly.entrypoints.http.app import create_app
from mayfly.entrypoints.http.stages import Stages
from mayfly.entrypoints.http.streams import MOST_STREAMS, Beginning, EventStreams, beginning
from mayfly.model.errors import Busy, Unavailable
from mayfly.model.event import TOLD, Event
from mayfly.model.instant import Ms, rfc3339
from mayfly.model.lifecycle import State
from support.asgi import ask
from support.house import START, House

ALL = frozenset(TOLD)
PATIENCE = 10.0


class CountingLog(MemoryEventLog):
    """Counts what it is asked."""

    def __init__(self, house: House) -> None:
        super().__init__(house.metadata)
        self.pages = 0
        self.broken = False

    def after(self, sequence: int, limit: int = 500) -> list[Event]:
        self.pages += 1
        if self.broken:
            raise Unavailable("the server is stopping")
        return super().after(sequence, limit)


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def log(house: House) -> CountingLog:
    return CountingLog(house)


@pytest.fixture
def streams(log: CountingLog, house: House) -> EventStreams:
    return EventStreams(log, house.told)


def run(streams: EventStreams, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """On an event loop of its own; every stream ends with it."""

    async def whole() -> None:
        try:
            await asyncio.wait_for(work(), PATIENCE * 2)
        finally:
            streams.close()

    asyncio.run(whole())


class Listener:
    """Reads one stream, message by message."""

    def __init__(self, streams: EventStreams, begin: Beginning, states: frozenset[State] = ALL) -> None:
        self._chunks: AsyncIterator[bytes] = streams.messages(begin, states, lambda: True)
        self._left = b""

    async def message(self) -> dict[str, str] | None:
        """The next message's fields; None at the stream's end. Comments and `retry` are passed over."""
        while True:
            text, _, rest = self._left.partition(b"\n\n")
            if _:
                self._left = rest
                fields = dict(line.split(": ", 1) for line in text.decode().split("\n") if not line.startswith(":"))
                if fields and "retry" not in fields:
                    return fields
                continue
            chunk = await asyncio.wait_for(anext(self._chunks, None), PATIENCE)
            if chunk is None:
                return None
            self._left += chunk

    async def next(self) -> dict[str, str]:
        found = await self.message()
        assert found is not None, "the stream ended"
        return found


def test_each_event_is_one_message_with_its_place_its_state_and_one_line_of_json(
    house: House, streams: EventStreams
) -> None:
    async def listen() -> None:
        with streams.joined(lambda: None):
            listener = Listener(streams, Beginning(0))
            image_id = house.admit()
            assert await listener.next() == {
                "id": "1",
                "event": "received",
                "data": json.dumps(
                    {
                        "id": str(image_id),
                        "state": "received",
                        "source": "http",
                        "reason": None,
                        "at": rfc3339(START),
                        "expires_at": rfc3339(image_id.expires_at),
                        "hrefs": {
                            "image": f"/v1/images/{image_id}",
                            "original": f"/v1/images/{image_id}/original",
                            "renditions": {},
                        },
                    },
                    separators=(",", ":"),
                ),
            }
            house.metadata.delete(image_id)
            purged = await listener.next()
            assert (purged["id"], purged["event"]) == ("2", "purged")
            assert json.loads(purged["data"])["hrefs"] == {}

    run(streams, listen)


def test_a_stream_goes_on_right_after_the_place_it_is_given_and_then_live(house: House, streams: EventStreams) -> None:
    for _ in range(300):
        house.admit()

    async def listen() -> None:
        with streams.joined(lambda: None):
            listener = Listener(streams, beginning(streams.log, 42))
            ids = [(await listener.next())["id"] for _ in range(258)]
            for _ in range(300):
                house.admit()
            ids += [(await listener.next())["id"] for _ in range(300)]
            assert ids == [str(number) for number in range(43, 601)]

    run(streams, listen)


def test_a_stream_that_names_no_place_begins_with_what_happens_next(house: House, log: CountingLog) -> None:
    assert beginning(log, None) == Beginning(0)
    house.admit()
    assert beginning(log, None) == Beginning(1)
    assert beginning(log, 0) == Beginning(0)


def test_what_is_not_there_any_more_is_told_first(house: House, streams: EventStreams) -> None:
    for _ in range(3):
        house.admit()
        house.clock.move(1_000)
    last = streams.log.after(0)[-1]
    streams.log.trim(last.at)
    assert beginning(streams.log, 2) == Beginning(2), "the next one is still there"

    async def listen() -> None:
        with streams.joined(lambda: None):
            listener = Listener(streams, beginning(streams.log, 1))
            lost = await listener.next()
            assert (lost["event"], lost["id"]) == ("lost", "2")
            assert json.loads(lost["data"]) == {"last_event_id": "1", "resumes_after": "2"}
            assert (await listener.next())["id"] == "3"

    run(streams, listen)


def test_a_place_from_the_future_is_another_folder_s_and_told_so(house: House, log: CountingLog) -> None:
    house.admit()
    assert beginning(log, 1) == Beginning(1)
    assert beginning(log, 2) == Beginning(1, "2")
    log.trim(Ms(house.clock.now() + 1))
    assert beginning(log, 1) == Beginning(1)


def test_only_the_wanted_states_are_sent(house: House, streams: EventStreams) -> None:
    async def listen() -> None:
        with streams.joined(lambda: None):
            listener = Listener(streams, Beginning(0), frozenset({State.PURGED}))
            image_id = house.admit()
            house.metadata.delete(image_id)
            assert (await listener.next())["event"] == "purged"

    run(streams, listen)


def test_all_streams_are_served_from_one_read(house: House, streams: EventStreams, log: CountingLog) -> None:
    async def listen() -> None:
        with ExitStack() as places:
            listeners = []
            for _ in range(MOST_STREAMS):
                places.enter_context(streams.joined(lambda: None))
                listeners.append(Listener(streams, Beginning(0)))
            first = [asyncio.ensure_future(listener.next()) for listener in listeners]
            await asyncio.sleep(0.3)
            before = log.pages
            house.admit()
            assert {message["id"] for message in await asyncio.gather(*first)} == {"1"}
            assert log.pages - before <= 2
            with pytest.raises(Busy), streams.joined(lambda: None):
                raise AssertionError
            places.close()
            with streams.joined(lambda: None):
                house.admit()
                assert (await Listener(streams, Beginning(1)).next())["id"] == "2"

    run(streams, listen)


def test_nobody_listening_reads_nothing(house: House, streams: EventStreams, log: CountingLog) -> None:
    async def listen() -> None:
        with streams.joined(lambda: None):
            house.admit()
            await Listener(streams, Beginning(0)).next()
        await asyncio.sleep(0.1)
        before = log.pages
        for _ in range(3):
            house.admit()
            await asyncio.sleep(0.05)
        assert log.pages - before <= 1, "beside the read that was waiting when the last one left"

    run(streams, listen)


def test_who_is_slower_than_the_events_is_let_go(
    house: House, streams: EventStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "KEPT_BYTES", 2_000)

    async def listen() -> None:
        with streams.joined(lambda: None), streams.joined(lambda: None):
            quick, slow = Listener(streams, Beginning(0)), Listener(streams, Beginning(0))
            waiting = [asyncio.ensure_future(one.next()) for one in (quick, slow)]
            await asyncio.sleep(0.1)
            house.admit()
            assert [(await one)["id"] for one in waiting] == ["1", "1"]
            for number in range(2, 30):
                house.admit()
                assert (await quick.next())["id"] == str(number)
            assert await slow.message() is None
            assert len(streams._kept) < 10

    run(streams, listen)


def test_a_quiet_stream_shows_that_it_lives_and_moves_its_place(
    house: House, streams: EventStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "KEEP_ALIVE_SECONDS", 0.05)

    async def listen() -> None:
        with streams.joined(lambda: None):
            chunks = streams.messages(Beginning(0), frozenset({State.FAILED}), lambda: True)
            assert [await anext(chunks), await anext(chunks)] == [b"retry: 1000\n\n", b": still here\n\n"]
            house.admit()
            while (chunk := await anext(chunks)) == b": still here\n\n":
                pass
            assert chunk == b": still here\nid: 1\n\n"

    run(streams, listen)


def test_a_stream_shows_that_it_lives_while_much_happens_that_it_does_not_want(
    house: House, streams: EventStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "KEEP_ALIVE_SECONDS", 0.1)

    async def happen() -> None:
        while True:
            house.admit()
            await asyncio.sleep(0.01)

    async def listen() -> None:
        with streams.joined(lambda: None):
            chunks = streams.messages(Beginning(0), frozenset({State.FAILED}), lambda: True)
            assert await anext(chunks) == b"retry: 1000\n\n"
            happening = asyncio.ensure_future(happen())
            chunk = await asyncio.wait_for(anext(chunks), PATIENCE)
            assert chunk.startswith(b": still here\nid: ")
            happening.cancel()

    run(streams, listen)


def test_a_stream_ends_once_its_reader_is_not_welcome_any_more(
    house: House, streams: EventStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "_ASK_SECONDS", 0.0)

    async def listen() -> None:
        welcome = True
        with streams.joined(lambda: None):
            chunks = streams.messages(Beginning(0), ALL, lambda: welcome)
            assert await anext(chunks) == b"retry: 1000\n\n"
            house.admit()
            assert (await anext(chunks)).startswith(b"id: 1\n")
            welcome = False
            house.admit()
            assert await anext(chunks, None) is None

    run(streams, listen)


def test_a_stream_ends_after_a_while(streams: EventStreams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams_module, "LONGEST_STREAM_SECONDS", 0.1)
    monkeypatch.setattr(streams_module, "KEEP_ALIVE_SECONDS", 0.05)

    async def listen() -> None:
        with streams.joined(lambda: None):
            assert await Listener(streams, Beginning(0)).message() is None

    run(streams, listen)


def test_streams_end_when_the_server_stops_and_none_begins(
    streams: EventStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "_LET_GO_SECONDS", 0.05)

    async def listen() -> None:
        cut = asyncio.Event()
        with streams.joined(cut.set):
            waiting = asyncio.ensure_future(Listener(streams, Beginning(0)).message())
            await asyncio.sleep(0.05)
            streams.close()
            assert await waiting is None
            await asyncio.wait_for(cut.wait(), PATIENCE)  # it kept its place: nobody read the end
        with pytest.raises(Busy), streams.joined(lambda: None):
            raise AssertionError

    run(streams, listen)


def test_a_log_that_cannot_be_read_ends_the_stream_and_is_told(
    house: House, streams: EventStreams, log: CountingLog
) -> None:
    async def listen() -> None:
        log.broken = True
        house.admit()
        with streams.joined(lambda: None):
            assert await Listener(streams, Beginning(0)).message() is None
            house.admit()
            while "events_fault" not in house.told.events:
                await asyncio.sleep(0.01)
            log.broken = False
            assert (await Listener(streams, Beginning(0)).next())["id"] == "1"

    run(streams, listen)


@pytest.mark.parametrize(
    ("path", "headers", "says"),
    [
        ("/v1/events?state=processing", {}, "state is one of received, processed, failed, rejected, purged"),
        ("/v1/events?states=failed", {}, "no filter"),
        ("/v1/events", {"Last-Event-ID": "x"}, "Last-Event-ID"),
        ("/v1/events", {"Last-Event-ID": "9" * 19}, "Last-Event-ID"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    streams: EventStreams, path: str, headers: dict[str, str], says: str
) -> None:
    class Only:
        events = streams

    answer = ask(create_app(cast("Stages", Only())), "GET", path, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-request")
    assert says in answer.json()["detail"]


def test_head_opens_no_stream(streams: EventStreams) -> None:
    class Only:
        events = streams

    answer = ask(create_app(cast("Stages", Only())), "HEAD", "/v1/events")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert answer.headers["cache-control"] == "private, no-store"
    assert streams._reader is None


def test_one_stream_too_many_is_told_when_to_come_back(streams: EventStreams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams_module, "MOST_STREAMS", 0)

    class Only:
        events = streams

    answer = ask(create_app(cast("Stages", Only())), "GET", "/v1/events")
    assert (answer.status_code, answer.json()["type"], answer.headers["retry-after"]) == (503, "/problems/busy", "1")
