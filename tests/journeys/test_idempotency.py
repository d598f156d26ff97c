"""The same Idempotency-Key again: the same image, whatever happened in between."""

import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest

from support.door import RawConnection, Traces, assert_problem, nothing_left, rows, stored_bytes
from support.server import MakeServer, Server, until


def made(answer: httpx.Response) -> dict[str, Any]:
    """The image of an upload that was taken."""
    assert answer.status_code == 201, answer.text
    image: dict[str, Any] = answer.json()
    return image


def send(server: Server, body: bytes, key: str) -> httpx.Response:
    return server.post("/v1/images", content=body, headers={"Idempotency-Key": key})


def test_a_repeat_is_answered_with_the_image_that_was_made(door: Server, small: bytes) -> None:
    first = send(door, small, "repeat")
    done = door.until_state(made(first)["id"], "processed")
    with nothing_left(door, settled(door)):
        again = send(door, small, "repeat")
        assert again.status_code == 200, again.text
        assert again.json() == done
        assert again.headers["location"] == first.headers["location"] == f"/v1/images/{done['id']}"


def test_without_a_key_the_same_bytes_are_another_image(door: Server, small: bytes) -> None:
    assert door.upload(small)["id"] != door.upload(small)["id"]


def test_other_bytes_under_the_key_are_refused(door: Server, small: bytes, photo: bytes) -> None:
    image = made(send(door, small, "other bytes"))
    door.until_state(image["id"], "processed")
    with nothing_left(door, settled(door)):
        assert_problem(send(door, photo, "other bytes"), 422, "idempotency-reused", "use a new key")
        assert_problem(send(door, small + b"\x00", "other bytes"), 422, "idempotency-reused", "use a new key")


def test_while_the_first_is_under_way_a_second_is_told_to_wait(door: Server, small: bytes) -> None:
    with RawConnection(door) as first:
        first.begin_post("/v1/images", f"Content-Length: {len(small)}", "Idempotency-Key: under way")
        first.send(small[:100])
        until_reserved(door)
        assert_problem(send(door, small, "under way"), 409, "in-flight", "repeat it when it has ended")
        first.send(small[100:])
        image = first.answer()
        assert image.status_code == 201
    assert send(door, small, "under way").json()["id"] == image.json()["id"]


def test_after_an_erasure_a_repeat_does_not_bring_the_image_back(door: Server, small: bytes) -> None:
    image = made(send(door, small, "erased"))
    door.until_state(image["id"], "processed")
    assert door.request("DELETE", f"/v1/images/{image['id']}").status_code == 204
    with nothing_left(door, settled(door)):
        assert_problem(send(door, small, "erased"), 410, "gone", "was erased")


def test_a_key_survives_a_crash_and_an_unfinished_one_is_free_again(make_server: MakeServer, small: bytes) -> None:
    server = make_server(options=("--workers", "1")).start()
    image = made(send(server, small, "finished"))
    with RawConnection(server) as unfinished:
        unfinished.begin_post("/v1/images", f"Content-Length: {len(small)}", "Idempotency-Key: unfinished")
        unfinished.send(small[:100])
        until_reserved(server)
        server.kill()
    server.start()
    again = send(server, small, "finished")
    assert again.status_code == 200, again.text
    assert again.json()["id"] == image["id"]
    assert send(server, small, "unfinished").status_code == 201


def test_two_keys_are_refused_for_which_was_meant(door: Server, small: bytes) -> None:
    twice = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    with nothing_left(door, kept=settled(door)):
        assert_problem(door.post("/v1/images", content=small, headers=twice), 400, "invalid-request", "several")
        files = {"file": ("a.jpg", small, "image/jpeg")}
        assert_problem(door.post("/v1/images", files=files, headers=twice), 400, "invalid-request", "several")


@pytest.mark.parametrize("key", ["x", "k" * 255, "order 17/b: Grüße"])
def test_any_printable_key_is_taken_and_none_is_stored_readably(door: Server, key: str, small: bytes) -> None:
    first = door.post("/v1/images", content=small, headers={b"Idempotency-Key": key.encode("latin-1")})
    again = door.post("/v1/images", content=small, headers={b"Idempotency-Key": key.encode("latin-1")})
    assert (first.status_code, again.status_code) == (201, 200)
    if len(key) > 8:
        assert key.encode() not in stored_bytes(door)


def settled(door: Server) -> Traces:
    """What stands once every upload of the tests before has been processed."""
    until(lambda: Traces.of(door).rows["jobs"] == 0, "all to be processed")
    return Traces.of(door)


def until_reserved(server: Server) -> None:
    """The key of an upload under way is held from its first byte on; its image comes later."""
    until(lambda: rows(server)["reservations"] > finished_keys(server), "the key to be held")


def finished_keys(server: Server) -> int:
    with closing(sqlite3.connect(f"file:{server.data / 'mayfly.db'}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM reservations WHERE until IS NULL").fetchone()[0])
