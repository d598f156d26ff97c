"""A disk with no byte left: keys and files die on time all the same, uploads are told so, and all heals."""

import os
import signal
from datetime import datetime

import httpx
import pytest

from support.processes import hold
from support.server import MakeServer, Server, until
from support.small_disk import SmallDisk

RESERVE_BYTES = 16 * 1024 * 1024


@pytest.fixture
def server(disk: SmallDisk, make_server: MakeServer) -> Server:
    """One on the small disk, with a clock to move. `make_server` is closed before the disk goes."""
    return make_server(
        movable=True,
        options=("--workers", "1"),
        environment={"MAYFLY_WORKER_SECONDS": "600"},
        wrapper=disk.wrapper(),
    ).start()


def minute_of_death(image: dict[str, str]) -> int:
    return int(datetime.fromisoformat(image["expires_at"]).timestamp()) // 60


def refused(server: Server, body: bytes) -> bool:
    """An upload is told that there is no room, and when to come again."""
    response = server.post("/v1/images", content=body)
    if response.status_code == 201:
        return False
    assert (response.status_code, response.json()["type"]) == (503, "/problems/storage-full")
    assert int(response.headers["retry-after"]) > 0
    return True


def test_on_a_full_disk_keys_and_files_still_die_on_time(server: Server, disk: SmallDisk, photo: bytes) -> None:
    dying = [server.upload(photo, retain="PT1H") for _ in range(3)]
    living = server.upload(photo, retain="PT5H")
    for image in (*dying, living):
        server.until_state(image["id"], "processed")
    disk.fill()
    before = disk.objects()
    assert refused(server, photo)
    assert refused(server, photo[:3_000])
    assert disk.objects() == before
    assert server.get(f"/v1/images/{living['id']}/original").content == photo

    server.move_clock(3_600 + 120)
    until(lambda: len(disk.objects()) == 4, "the sweep")
    assert not any(disk.holds_key_of(minute_of_death(image)) for image in dying)
    assert disk.holds_key_of(minute_of_death(living))
    assert [server.get(f"/v1/images/{image['id']}").status_code for image in dying] == [410, 410, 410]
    until(lambda: server.post("/v1/sweeps", json={}).json()["unverified"] == [], "the records to go")
    assert [item["id"] for item in server.get("/v1/images").json()["items"]] == [living["id"]]
    assert server.get(f"/v1/images/{living['id']}/original").content == photo


def test_an_erasure_on_a_full_disk_is_kept_through_a_kill(server: Server, disk: SmallDisk, photo: bytes) -> None:
    image = server.upload(photo)
    server.until_state(image["id"], "processed")
    disk.fill()
    assert httpx.delete(f"{server.url}/v1/images/{image['id']}", timeout=60).status_code == 204
    disk.fill()
    assert disk.objects() == []
    server.kill()
    server.start()
    assert server.get(f"/v1/images/{image['id']}").status_code == 410
    assert server.get("/v1/images").json()["items"] == []


def test_work_on_a_full_disk_is_given_back_uncounted_and_all_heals(
    server: Server, disk: SmallDisk, small: bytes
) -> None:
    held, worker = hold(server, small)
    waiting = [server.upload(small) for _ in range(3)]
    disk.fill()
    os.kill(worker, signal.SIGCONT)
    until(lambda: '"verdict_waits"' in server.log.read_text(encoding="utf-8"), "the worker to find no room")
    assert refused(server, small)
    assert server.image(held["id"])["state"] == "processing"
    assert not [name for name in disk.objects() if name.startswith(held["id"]) and ".original." not in name]

    disk.clear()
    for image in (held, *waiting):
        done = server.until_state(image["id"], "processed", "failed")
        assert (done["state"], done["attempts"]) == ("processed", 1)
    server.until_state(server.upload(small)["id"], "processed")
    assert server.post("/v1/sweeps", json={}).json()["orphans"] == 0
    assert len(disk.objects()) == len(server.get("/v1/images").json()["items"]) * 4


def test_keys_and_files_die_though_the_reserve_is_spent_and_the_server_was_killed(
    server: Server, disk: SmallDisk, photo: bytes
) -> None:
    image = server.upload(photo, retain="PT1H")
    server.until_state(image["id"], "processed")
    server.kill()
    disk.seen(server.data / "reserve").unlink()
    disk.fill()
    server.move_clock(3_600 + 120)
    server.start()
    assert not disk.holds_key_of(minute_of_death(image))
    assert disk.objects() == []
    until(lambda: server.post("/v1/sweeps", json={}).json()["unverified"] == [], "the records to go")


def test_a_server_that_was_killed_starts_on_a_full_disk_and_keys_die(
    server: Server, disk: SmallDisk, small: bytes
) -> None:
    held, _ = hold(server, small, retain="PT1H")
    living = server.upload(small)
    server.kill()
    disk.fill()
    # What was held is given back on that disk, and what fell due meanwhile goes before the server is ready.
    server.start()
    assert server.get(f"/v1/images/{living['id']}/original").content == small
    server.stop()
    disk.fill()
    server.move_clock(3_600 + 120)
    server.start()
    assert not disk.holds_key_of(minute_of_death(held))
    assert not [name for name in disk.objects() if name.startswith(held["id"])]
    assert server.get(f"/v1/images/{living['id']}/original").content == small

    disk.clear()
    done = server.until_state(living["id"], "processed", "failed")
    assert (done["state"], done["attempts"]) == ("processed", 1)
    server.post("/v1/sweeps", json={})
    assert disk.reserve_bytes() == RESERVE_BYTES
