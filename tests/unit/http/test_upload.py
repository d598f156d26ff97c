"""A body as it comes in: whoever stalls, or leaves, is told so or let go."""

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request

from mayfly.adapters.memory.under_way import MemoryUnderWay
from mayfly.entrypoints.http import upload
from mayfly.intake.receive import IntakeLimits, UploadDoor
from mayfly.model.errors import BodyCut
from mayfly.model.principal import Principal, Role
from mayfly.model.retention import Retention
from support.house import START, House

Message = dict[str, Any]


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def read(messages: list[Message]) -> list[bytes]:
    """The chunks of a body that comes in these messages, and then stalls."""
    waiting = iter(messages)

    async def receive() -> Message:
        message = next(waiting, None)
        if message is None:
            await asyncio.Event().wait()
            raise AssertionError
        return message

    async def collect(receive: Callable[[], Awaitable[Message]]) -> list[bytes]:
        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        return [chunk async for chunk in upload.body_of(request)]

    return asyncio.run(collect(receive))


def test_chunks_come_as_they_were_sent_and_empty_ones_not_at_all() -> None:
    assert read([part(b"one", more=True), part(b"", more=True), part(b"two", more=False)]) == [b"one", b"two"]


def test_a_connection_that_ends_early_is_a_body_cut() -> None:
    with pytest.raises(BodyCut, match="connection ended"):
        read([part(b"one", more=True), {"type": "http.disconnect"}])


def test_a_body_that_drips_is_cut_though_it_never_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "GRACE_SECONDS", 0.05)

    async def drip() -> Message:
        await asyncio.sleep(0.01)
        return part(b"x", more=True)

    async def collect() -> int:
        request = Request({"type": "http", "method": "POST", "headers": []}, drip)
        return len([chunk async for chunk in upload.body_of(request)])

    async def patiently() -> int:
        return await asyncio.wait_for(collect(), 5)

    with pytest.raises(BodyCut, match="slower than 1024 bytes a second"):
        asyncio.run(patiently())


def test_our_own_slowness_is_not_held_against_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "GRACE_SECONDS", 0.05)
    messages = iter([*[part(b"x", more=True)] * 5, part(b"", more=False)])

    async def at_once() -> Message:
        return next(messages)

    async def collect() -> int:
        size = 0
        async for chunk in upload.body_of(Request({"type": "http", "method": "POST", "headers": []}, at_once)):
            await asyncio.sleep(0.03)
            size += len(chunk)
        return size

    assert asyncio.run(collect()) == 5


def test_a_body_that_stands_still_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "LONGEST_PAUSE_SECONDS", 0.01)
    with pytest.raises(BodyCut, match="no byte came"):
        read([part(b"one", more=True)])


def test_an_upload_under_way_when_the_server_stops_leaves_nothing() -> None:
    """A cancelled task cannot wait for a thread: it is cancelled there, too."""
    house = House()
    limits = IntakeLimits(max_bytes=10_000, max_pixels=10_000, retention=Retention(60), labels={})
    under_way = MemoryUnderWay(2)
    door = UploadDoor(house.intake(under_way), limits)
    begun = asyncio.Event()

    async def receive() -> Message:
        if begun.is_set():
            await asyncio.Event().wait()
        begun.set()
        return part(png(), more=True)

    async def cancel_twice() -> None:
        scope = {"type": "http", "method": "POST", "headers": [], "query_string": b""}
        request = Request(scope, receive)
        task = asyncio.create_task(upload.receive_upload(request, door, Principal("local", Role.ADMIN), START))
        await begun.wait()
        while not house.standing():
            await asyncio.sleep(0)
        # As the web server does it, and then the loop.
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(cancel_twice())
    assert (house.standing(), under_way.ids()) == (set(), frozenset())


def png() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 1, 1, 8, 2, 0, 0, 0) + bytes(4)
