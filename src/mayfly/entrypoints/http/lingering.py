"""The end of a connection whose client may still be sending.

To close a socket in which something lies unread is to reset the connection (RFC 9293, section 3.10.4), and whoever is
told of a reset while sending looks for no answer any more. So the answer is followed by the end of our side alone; what
still comes is thrown away, for a while, until the client ends its own side (RFC 9112, section 9.6).

TLS knows no half-close that asyncio or uvloop could ask for (`can_write_eof` is false; to send `close_notify` is to
close, and to refuse what comes behind it). There what comes is thrown away all the same, but a client that waits for
the end, and not only for the answer's declared length, sees it when nothing has come for `QUIET_SECONDS`.
"""

import asyncio
from collections.abc import Callable
from typing import Any

QUIET_SECONDS = 2.0
"""For how long nothing may come."""
LONGEST_SECONDS = 10.0
"""All in all: as long as the rest of a body is waited for on a connection that stays open."""
LONGEST_OVER_TLS_SECONDS = 30.0
"""And until the client says goodbye, too: as long as asyncio waits for that by itself."""
MOST_BODY_BYTES = 32 * 1024 * 1024
"""The rest of a body that was answered early: three times the largest image that is taken by default."""
MOST_HEAD_BYTES = 1024 * 1024
"""What comes behind a head that was refused: of that little was promised."""


class LingeringTransport(asyncio.Transport):
    """A connection's transport that closes at once unless it `awaits` the rest of a body. While it lingers it counts
    as closing: nothing is written to it or taken from it any more."""

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, awaits: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._awaits = awaits
        self._hurries = False
        self._look: asyncio.TimerHandle | None = None
        self._began_at = 0.0
        self._left = 0
        self._came = False

    def close(self) -> None:
        if self._look is not None:
            return
        if self._awaits() and not self._hurries:
            self.linger(MOST_BODY_BYTES)
        else:
            self._transport.close()

    def linger(self, most: int) -> None:
        """End our side, behind all that was written, and throw away what still comes: at most so many bytes."""
        if self.is_closing():
            return
        self._left = most
        self._began_at = self._loop.time()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()
        self._look_later()

    def discard(self, size: int) -> None:
        """So many bytes came after the end."""
        self._came = True
        self._left -= size
        if self._look is not None and self._left < 0:
            self._close_now()

    def hurry(self) -> None:
        """Nobody is waited for any more."""
        self._hurries = True
        if self._look is not None:
            self._close_now()

    def lost(self) -> None:
        """The connection is no more."""
        self._hurries = True
        if self._look is not None:
            self._look.cancel()

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._look is not None or self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._transport.write(data)

    def pause_reading(self) -> None:
        if self._look is None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)

    def _look_later(self) -> None:
        self._came = False
        at = min(self._loop.time() + QUIET_SECONDS, self._began_at + LONGEST_SECONDS)
        self._look = self._loop.call_at(at, self._look_again)

    def _look_again(self) -> None:
        if self._came and self._loop.time() < self._began_at + LONGEST_SECONDS:
            self._look_later()
        else:
            self._close_now()

    def _close_now(self) -> None:
        if self._look is not None:
            self._look.cancel()
        self._transport.close()
        if not self._transport.can_write_eof():
            self._look = self._loop.call_at(self._began_at + LONGEST_OVER_TLS_SECONDS, self._transport.abort)
