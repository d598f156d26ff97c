"""What parent and worker say to each other over their one socket: JSON objects, each after its length in four bytes.

parent → worker   {"limits", "stages", "files"}         once; files in base64, by their SHA-256
worker → parent   {"ready": true, "cage": {layer: in force}}
parent → worker   {"media_type", "size", "room", "stages", "measure"}
                                                        with two descriptors: the body, and the memory for the output
worker → parent   {"rejected": slug} | {"failed": slug} | {"pictures", "timings"}
                                                        and "facts", "phash" where it was asked to measure
"""

import json
import socket
import time
from collections.abc import Sequence
from typing import Any, Never

LARGEST = 64 * 1024
"""Bytes of one message."""
LARGEST_SETUP = 8 * 1024 * 1024
"""Bytes of the parent's first one, which carries the files that steps need."""

_LENGTH = 4


class Broken(Exception):
    """The other side ended, or said something that is no message."""


def send(channel: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Raises:
    OSError: the other side is gone, or does not read.
    """
    data = json.dumps(message).encode()
    prefix = len(data).to_bytes(_LENGTH, "big")
    if descriptors:
        socket.send_fds(channel, [prefix], descriptors)
    else:
        channel.sendall(prefix)
    channel.sendall(data)


def receive(channel: socket.socket, deadline: float | None = None, *, largest: int = LARGEST) -> dict[str, Any]:
    """One message of at most `largest` bytes. `deadline` is an instant of `time.monotonic`, however slowly the other
    side dribbles.

    Raises:
        Broken, TimeoutError.
    """
    return _decode(channel, _exactly(channel, _LENGTH, deadline), deadline, largest)


def receive_with_descriptors(channel: socket.socket, count: int) -> tuple[dict[str, Any], list[int]]:
    """One message and the descriptors that came with it.

    Raises:
        Broken: also if there were not `count` of them.
    """
    prefix, descriptors, _, _ = socket.recv_fds(channel, _LENGTH, count)
    if len(descriptors) != count:
        raise Broken
    prefix += _exactly(channel, _LENGTH - len(prefix), None)
    return _decode(channel, prefix, None, LARGEST), descriptors


def _decode(channel: socket.socket, prefix: bytes, deadline: float | None, largest: int) -> dict[str, Any]:
    length = int.from_bytes(prefix, "big")
    if length > largest:
        raise Broken
    data = _exactly(channel, length, deadline)
    try:
        message = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Broken from None
    if not isinstance(message, dict):
        raise Broken
    return message


def _exactly(channel: socket.socket, length: int, deadline: float | None) -> bytes:
    data = bytearray()
    while len(data) < length:
        if deadline is not None:
            channel.settimeout(_left(deadline))
        try:
            chunk = channel.recv(length - len(data))
        except TimeoutError:
            raise
        except OSError:
            raise Broken from None
        if not chunk:
            raise Broken
        data += chunk
    return bytes(data)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _refuse(constant: str) -> Never:
    raise ValueError(constant)  # NaN and the infinities are no JSON
