"""A picture on its way out: however its reader behaves, it is let go."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest

from mayfly.entrypoints.http import ranges
from mayfly.entrypoints.http.ranges import PictureResponse, ResponseCut
from mayfly.model.errors import Expired
from mayfly.queries.open import Opened

PATIENCE = 5.0


class Reader:
    """Three segments; `dead` is the image's death."""

    size = 3

    def __init__(self) -> None:
        self.dead = False
        self.closed = 0

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        for _ in range(start, stop):
            self.refuse_gone()
            yield b"x"

    def refuse_gone(self) -> None:
        if self.dead:
            raise Expired("the image has expired")

    def close(self) -> None:
        self.closed += 1


class Connection:
    """Takes `takes` messages, and then reads no more."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.sent: list[dict[str, Any]] = []
        self.stalled = asyncio.Event()
        self.aborted = False

    async def send(self, message: Any) -> None:
        if len(self.sent) >= self.takes:
            self.stalled.set()
            await asyncio.Event().wait()
        self.sent.append(message)

    def abort(self) -> None:
        self.aborted = True

    def serve(self, reader: Reader) -> "asyncio.Task[None]":
        response = PictureResponse(Opened("image/png", cast("Any", reader)), 0, 3, 200, {})
        scope = {"type": "http", "method": "GET", "state": {"abort": self.abort}}
        return asyncio.ensure_future(response(scope, cast("Any", None), self.send))


@pytest.mark.parametrize("takes", [0, 1, 2, 4], ids=["no head", "no byte", "a part", "all but the end"])
def test_a_reader_that_stalls_past_the_images_death_is_cut_off(takes: int) -> None:
    async def story() -> None:
        reader, connection = Reader(), Connection(takes)
        serving = connection.serve(reader)
        await asyncio.wait_for(connection.stalled.wait(), PATIENCE)
        assert not connection.aborted
        reader.dead = True
        with pytest.raises(ResponseCut):
            await asyncio.wait_for(serving, PATIENCE)
        assert (connection.aborted, reader.closed) == (True, 1)

    asyncio.run(story())


def test_a_reader_that_stalls_for_too_long_is_cut_off_though_the_image_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "LONGEST_SEND_SECONDS", 0.05)

    async def story() -> None:
        reader, connection = Reader(), Connection(2)
        with pytest.raises(ResponseCut):
            await asyncio.wait_for(connection.serve(reader), PATIENCE)
        assert (connection.aborted, reader.closed) == (True, 1)

    asyncio.run(story())


def test_a_request_that_is_cancelled_closes_its_file_at_once() -> None:
    async def story() -> None:
        reader, connection = Reader(), Connection(2)
        serving = connection.serve(reader)
        await asyncio.wait_for(connection.stalled.wait(), PATIENCE)
        serving.cancel()
        # As at the end of the server: it is cancelled again while it tidies up.
        asyncio.get_running_loop().call_soon(serving.cancel)
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert reader.closed == 1

    asyncio.run(story())


def test_a_reader_that_reads_gets_all_and_keeps_its_connection() -> None:
    async def story() -> None:
        reader, connection = Reader(), Connection(99)
        await asyncio.wait_for(connection.serve(reader), PATIENCE)
        assert [message.get("body") for message in connection.sent] == [None, b"x", b"x", b"x", b""]
        assert (connection.aborted, reader.closed) == (False, 1)

    asyncio.run(story())
