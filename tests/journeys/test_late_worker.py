"""Workers that come late: after a purge or an erasure they re-create nothing; over their time they are replaced."""

import os
import signal
import sqlite3
from contextlib import closing

import httpx

from support.processes import alive, hold, the_worker
from support.server import WEEK_SECONDS, MakeServer, Server, until

ONE_WORKER = ("--workers", "1")
TABLES = {"images": "id", "jobs": "image_id", "dead_letters": "image_id"}


def rows_of(server: Server, identity: str) -> dict[str, int]:
    """How many rows of each table name the image."""
    raw = bytes.fromhex(identity.replace("-", ""))
    with closing(sqlite3.connect(f"file:{server.data / 'mayfly.db'}?mode=ro", uri=True, timeout=30)) as database:
        return {
            table: database.execute(f"SELECT COUNT(*) FROM {table} WHERE {column} = ?", (raw,)).fetchone()[0]
            for table, column in TABLES.items()
        }


def assert_gone_for_good(server: Server, identity: str, other: bytes) -> None:
    """The worker ends what it held; one more image through its hands shows that it did. Nothing came back."""
    # Keys for the time the clock was moved to are made a moment after its sweep.
    until(lambda: server.post("/v1/images", content=other).status_code == 201, "an upload to be taken")
    after = server.get("/v1/images").json()["items"][0]
    server.until_state(after["id"], "processed")
    for path in ("", "/original", "/renditions/thumb"):
        assert server.get(f"/v1/images/{identity}{path}").status_code == 410
    assert not [name for name in server.objects() if name.startswith(identity)]
    assert rows_of(server, identity) == dict.fromkeys(TABLES, 0)
    assert server.post("/v1/sweeps", json={}).json()["orphans"] == 0


def test_a_worker_that_finishes_after_the_purge_re_creates_nothing(make_server: MakeServer, small: bytes) -> None:
    patient = {"MAYFLY_WORKER_SECONDS": "600"}
    server = make_server(movable=True, options=ONE_WORKER, environment=patient).start()
    image, worker = hold(server, small)
    server.move_clock(WEEK_SECONDS + 120)
    until(lambda: not server.objects(), "the sweep")
    os.kill(worker, signal.SIGCONT)
    assert_gone_for_good(server, image["id"], small)
    assert the_worker(server) == worker


def test_a_worker_that_finishes_after_an_erasure_re_creates_nothing(make_server: MakeServer, small: bytes) -> None:
    server = make_server(options=ONE_WORKER, environment={"MAYFLY_WORKER_SECONDS": "600"}).start()
    image, worker = hold(server, small)
    assert httpx.delete(f"{server.url}/v1/images/{image['id']}", timeout=60).status_code == 204
    os.kill(worker, signal.SIGCONT)
    assert_gone_for_good(server, image["id"], small)
    assert the_worker(server) == worker


def test_a_worker_over_its_time_is_replaced_and_its_image_tried_again(make_server: MakeServer, small: bytes) -> None:
    server = make_server(options=ONE_WORKER, environment={"MAYFLY_WORKER_SECONDS": "5"}).start()
    image, worker = hold(server, small)
    done = server.until_state(image["id"], "processed", "failed")
    assert (done["state"], done["attempts"], done["reason"]) == ("processed", 2, None)
    assert not alive(worker)
    assert the_worker(server) != worker


def test_after_its_attempts_an_image_is_failed_and_a_retry_brings_it_back(
    make_server: MakeServer, small: bytes
) -> None:
    limits = {"MAYFLY_WORKER_SECONDS": "5", "MAYFLY_ATTEMPTS": "1"}
    server = make_server(options=ONE_WORKER, environment=limits).start()
    image, _ = hold(server, small)
    failed = server.until_state(image["id"], "processed", "failed")
    assert (failed["state"], failed["attempts"], failed["reason"]) == ("failed", 1, "worker-overdue")
    until(lambda: rows_of(server, image["id"]) == {"images": 1, "jobs": 0, "dead_letters": 1}, "the dead letter")
    assert server.get(f"/v1/images/{image['id']}/original").content == small

    assert server.post(f"/v1/images/{image['id']}/retry", json={}).status_code == 202
    done = server.until_state(image["id"], "processed", "failed")
    assert (done["state"], done["attempts"], done["reason"]) == ("processed", 1, None)
    until(lambda: rows_of(server, image["id"]) == {"images": 1, "jobs": 0, "dead_letters": 0}, "the end of its job")
    assert server.post(f"/v1/images/{image['id']}/retry", json={}).status_code == 409


def test_an_image_whose_workers_all_die_is_failed_with_the_reason(make_server: MakeServer, small: bytes) -> None:
    server = make_server(options=ONE_WORKER, environment={"MAYFLY_ATTEMPTS": "2"}).start()
    image, worker = hold(server, small)
    os.kill(worker, signal.SIGKILL)

    def ended() -> bool:
        for child in server.children():
            os.kill(child, signal.SIGKILL)
        return bool(server.image(image["id"])["state"] == "failed")

    until(ended, "the image to be failed")
    failed = server.image(image["id"])
    assert (failed["attempts"], failed["reason"]) == (2, "worker-died")
    assert server.upload(small)["state"] == "received"
