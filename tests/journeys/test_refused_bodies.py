"""A request that ends its connection, refused while its body is under way: its sender is told why all the same."""

import httpx
import pytest

from support.door import RawConnection, assert_problem, nothing_left
from support.server import Server

MIB = 1024 * 1024
ROUNDS = 20
LAST = "Connection: close"

REFUSED = {
    "too large": (12 * MIB, (LAST,), 413, "too-large"),
    "no token of ours": (8 * MIB, (LAST, "Authorization: Bearer mfy_x"), 401, "unauthenticated"),
    "from elsewhere": (8 * MIB, (LAST, "Origin: https://evil.example"), 403, "denied"),
    "no picture": (8 * MIB, (LAST,), 415, "unknown-type"),
    "no JSON": (8 * MIB, (LAST, "Content-Type: image/jpeg"), 415, "json-only"),
}
"""How large a body, with which headers, and what is said about it."""


def told(server: Server, path: str, size: int, *headers: str) -> httpx.Response:
    """What a client is told that reads nothing until its whole body has left, and then all there is."""
    with RawConnection(server) as connection:
        connection.begin_post(path, f"Content-Length: {size}", *headers)
        for _ in range(size // MIB):
            connection.send(bytes(MIB))
        return connection.answer()


@pytest.mark.parametrize("name", REFUSED)
def test_whoever_sends_all_of_it_before_reading_reads_the_whole_answer(door: Server, name: str) -> None:
    size, headers, status, slug = REFUSED[name]
    path = "/v1/uploads" if name == "no JSON" else "/v1/images"
    with nothing_left(door):
        for _ in range(ROUNDS):
            answer = told(door, path, size, *headers)
            assert_problem(answer, status, slug)
            assert answer.headers["connection"] == "close"
    assert "Traceback" not in door.log.read_text(encoding="utf-8")
