"""A body as it comes in: whoever stalls, or leaves, is told so or let go."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request

from mayfly.entrypoints.http import upload
from mayfly.model.errors import BodyCut

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
