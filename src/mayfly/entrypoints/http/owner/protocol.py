"""A connection on the owner's socket."""

import asyncio
import os
import socket
import struct
from typing import cast

from mayfly.entrypoints.http.protocol import BoundedProtocol

_PEER = struct.Struct("iii")  # struct ucred: pid, uid, gid
_ROOT = 0
_UNREAD_BYTES = 64 * 1024


class OwnerProtocol(BoundedProtocol):
    """Beyond the socket's mode: on Linux the kernel says who is at the other end. While strangers hold every place on
    the network, a token can still be revoked."""

    places_beyond = 8

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Head and body of an answer in one write: who may ask here takes its answers.
        transport.set_write_buffer_limits(high=_UNREAD_BYTES)
        if not may_ask(cast("socket.socket", transport.get_extra_info("socket"))):
            transport.abort()


def may_ask(connection: socket.socket) -> bool:
    """Whether the peer is this process's own user, or root. Where none tells, the file's mode has to do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return uid in (os.geteuid(), _ROOT)
