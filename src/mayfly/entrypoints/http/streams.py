"""Every open stream of events, served from one read of the log.

One thread reads the log while anyone listens; the event loop keeps what came last, written out once, and each stream
is nothing but a place in it. Who comes back after a while reads pages of the log until it is within what is kept. Who
is slower than the events come falls out of it, and is let go: it comes back with `Last-Event-ID` and misses nothing.
"""

import asyncio
import contextlib
import json
import threading
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool

from mayfly.model.errors import Busy, MayflyError
from mayfly.model.event import Event, told
from mayfly.model.journal import Journal
from mayfly.model.lifecycle import State
from mayfly.ports.event_log import LARGEST_PAGE, EventLog

MOST_STREAMS = 200
KEPT_BYTES = 4 * 1024 * 1024
"""How much of what came last is kept: some 8,000 events."""
KEEP_ALIVE_SECONDS = 15.0
"""Proxies let go of connections on which nothing comes for a minute or so."""
LONGEST_STREAM_SECONDS = 3_600.0
"""After that it comes back."""
_ASK_SECONDS = 1.0
"""How often a stream asks whether its reader may still have it: a token may end or be revoked meanwhile."""

_CHUNK_BYTES = 32 * 1024
_PAGE = 64
"""Events: about a chunk."""
_LOOK_SECONDS = 0.5
_GATHER_SECONDS = 0.02
"""Between reads of the log, so that a burst of events is a few pages and not a read for each commit."""
_LET_GO_SECONDS = 1.0
"""How long a stop waits for a reader that reads nothing."""


@dataclass(frozen=True, slots=True)
class Written:
    """An event as it goes out."""

    sequence: int
    state: State
    text: bytes


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a stream begins: after `position`. `lost` is what its reader named, where what came since is not all
    there any more."""

    position: int
    lost: str | None = None


def write(event: Event) -> Written:
    """As a message of a stream of events (HTML standard, section 9.2)."""
    data = json.dumps(told(event), separators=(",", ":"))
    return Written(
        event.sequence, event.state, f"id: {event.sequence}\nevent: {event.state}\ndata: {data}\n\n".encode()
    )


def beginning(log: EventLog, last: int | None) -> Beginning:
    """Where to begin for a reader whose last event was that one; without one, with what happens from now on."""
    newest = log.newest()
    if last is None:
        return Beginning(newest)
    oldest = log.oldest()
    if last < oldest - 1:
        return Beginning(oldest - 1, str(last))
    # Not given out yet: it is from another data folder, or from before this one was put back to an earlier day.
    return Beginning(newest, str(last)) if last > newest else Beginning(last)


class EventStreams:
    """Made with the server, used on its event loop."""

    def __init__(self, log: EventLog, journal: Journal) -> None:
        self.log = log
        self._journal = journal
        self._listened = threading.Event()
        self._closed = threading.Event()
        self._reader: threading.Thread | None = None
        # The rest belongs to the event loop.
        self._open: dict[object, Callable[[], None]] = {}
        self._round = 0
        self._kept: list[Written] = []
        self._kept_bytes = 0
        self._floor: int | None = None
        self._news = asyncio.Event()
        self._catching_up = asyncio.Semaphore(1)

    @property
    def count(self) -> int:
        """Streams that are open."""
        return len(self._open)

    @contextlib.contextmanager
    def joined(self, cut: Callable[[], None]) -> Iterator[None]:
        """A place among the streams; `cut` ends its connection at once.

        Raises:
            Busy: all are taken, or the server stops.
        """
        if len(self._open) >= MOST_STREAMS or self._closed.is_set():
            raise Busy(f"at most {MOST_STREAMS} streams are served at once; try again, or ask GET /v1/images")
        if not self._open:
            self._begin_round()
        me = object()
        self._open[me] = cut
        try:
            yield
        finally:
            del self._open[me]
            if not self._open:
                self._listened.clear()
                self._floor = None

    def close(self) -> None:
        """Every stream ends: those that read within a moment, the others then. Called on the event loop."""
        self._closed.set()
        self._listened.set()
        self._wake()
        if self._open:
            asyncio.get_running_loop().call_later(_LET_GO_SECONDS, self._cut_all)

    async def messages(
        self, begin: Beginning, states: frozenset[State], welcome: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        """What one stream sends, until it ends: at the latest when its reader is no longer `welcome`, and something is
        to be sent."""
        position = begin.position
        yield b"retry: 1000\n\n"
        if begin.lost is not None:
            yield _lost(begin)
        live = False
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + LONGEST_STREAM_SECONDS
        said, spoke_at, ask_at = position, loop.time(), loop.time() + _ASK_SECONDS
        while not self._closed.is_set() and loop.time() < ends_at:
            if loop.time() >= ask_at:
                if not welcome():
                    return
                ask_at = loop.time() + _ASK_SECONDS
            news = self._news
            live = live or self._keeps_after(position)
            found = await self._next(position, live=live)
            if found is None:
                return
            if found:
                position = found[-1].sequence
                if chunk := b"".join(one.text for one in found if one.state in states):
                    said, spoke_at = position, loop.time()
                    yield chunk
            else:
                await _set_within(news, spoke_at + KEEP_ALIVE_SECONDS - loop.time())
            # Also where much happens, but nothing that this reader wants.
            if loop.time() >= spoke_at + KEEP_ALIVE_SECONDS:
                # An id without data moves the reader's place and is no event.
                chunk = b": still here\n\n" if said == position else f": still here\nid: {position}\n\n".encode()
                said, spoke_at = position, loop.time()
                yield chunk

    async def _next(self, position: int, *, live: bool) -> list[Written] | None:
        """What comes after that one, as far as it is there; None where its reader has to come back for it."""
        if self._keeps_after(position):
            return self._kept_after(position)
        if live:
            return None
        try:
            return await self._page_after(position)
        except MayflyError:
            return None  # it is told then

    def _keeps_after(self, position: int) -> bool:
        """Whether all that came after that one is kept."""
        return self._floor is not None and position >= self._floor

    def _kept_after(self, position: int) -> list[Written]:
        """What is kept after that one, a chunk's worth."""
        first = bisect_right(self._kept, position, key=lambda one: one.sequence)
        return list(_chunk(self._kept, first))

    async def _page_after(self, position: int) -> list[Written]:
        """Read and written out in a thread, for one stream at a time: many that come back at once take nothing from
        those who ask for something else."""
        async with self._catching_up:
            return await run_in_threadpool(_page, self.log, position)

    def _begin_round(self) -> None:
        """Somebody listens again: nothing is kept from before."""
        self._round += 1
        self._kept, self._kept_bytes, self._floor = [], 0, None
        if self._reader is None:
            loop = asyncio.get_running_loop()
            self._reader = threading.Thread(target=self._read, args=(loop,), name="events", daemon=True)
            self._reader.start()
        self._listened.set()

    def _publish(self, number: int, came: list[Written]) -> None:
        if number != self._round or self._floor is None:
            return
        self._kept += came
        self._kept_bytes += sum(len(one.text) for one in came)
        passed = 0
        while self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= len(self._kept[passed].text)
            passed += 1
        if passed:
            self._floor = self._kept[passed - 1].sequence
            del self._kept[:passed]
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _cut_all(self) -> None:
        for cut in list(self._open.values()):
            cut()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """The reading thread."""
        while not self._closed.is_set():
            self._listened.wait()
            try:
                self._read_round(loop)
            except Exception as fault:
                if not self._closed.is_set():
                    self._journal("events_fault", reason=f"{type(fault).__name__}: {fault}")
                    self._closed.wait(_LOOK_SECONDS)

    def _read_round(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell what comes while somebody listens. Should it fail, the next round goes on from the newest, and the
        streams read from the log what lies between."""
        number, position = self._round, self.log.newest()
        loop.call_soon_threadsafe(self._restart, number, position)
        while self._listened.is_set() and number == self._round and not self._closed.is_set():
            if self.log.wait(position, _LOOK_SECONDS):
                page = self.log.after(position, LARGEST_PAGE)
                position = page[-1].sequence if page else position
                loop.call_soon_threadsafe(self._publish, number, [write(event) for event in page])
                self._closed.wait(_GATHER_SECONDS)

    def _restart(self, number: int, position: int) -> None:
        if number == self._round and self._open:
            self._kept, self._kept_bytes, self._floor = [], 0, position
            self._wake()


def _page(log: EventLog, position: int) -> list[Written]:
    return [write(event) for event in log.after(position, _PAGE)]


def _chunk(kept: list[Written], first: int) -> Iterator[Written]:
    size = 0
    for index in range(first, len(kept)):
        size += len(kept[index].text)
        yield kept[index]
        if size >= _CHUNK_BYTES:
            return


def _lost(begin: Beginning) -> bytes:
    data = json.dumps({"last_event_id": begin.lost, "resumes_after": str(begin.position)}, separators=(",", ":"))
    return f"id: {begin.position}\nevent: lost\ndata: {data}\n\n".encode()


async def _set_within(news: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
