"""Real kills, under load and at chosen moments: what was acknowledged is processed, once, and nothing else stays."""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from support.load import Load, marked
from support.processes import alive, hold, the_worker
from support.server import PATIENCE_SECONDS, MakeServer, Server, until

ROUNDS = 5
LATEST_KILL_SECONDS = 1.0
ATTEMPTS = 30
"""More than there can be kills of one image's worker: what is tested is that none is lost, not that some may fail."""


def kill_server(server: Server) -> None:
    workers = server.children()
    server.kill()
    until(lambda: not any(map(alive, workers)), "the workers to end with their owner")
    server.start()


def kill_all(server: Server) -> None:
    workers = server.children()
    server.kill()
    for worker in workers:
        if alive(worker):
            os.kill(worker, signal.SIGKILL)
    until(lambda: not any(map(alive, workers)), "the workers to end")
    server.start()


def kill_worker(server: Server) -> None:
    victim = until(server.children, "a worker process")[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in server.children() and server.children(), "another worker in its place")


KILLS: tuple[Callable[[Server], None], ...] = (kill_server, kill_worker, kill_all)


def pages(server: Server) -> Iterator[dict[str, Any]]:
    """Every image that is listed."""
    cursor: str | None = None
    while True:
        response = server.get("/v1/images", params={"limit": "200"} | ({"cursor": cursor} if cursor else {}))
        assert response.status_code == 200, response.text
        yield from response.json()["items"]
        cursor = response.json()["next_cursor"]
        if cursor is None:
            return


def all_processed(server: Server) -> list[dict[str, Any]] | None:
    found = list(pages(server))
    return found if all(image["state"] == "processed" for image in found) else None


def assert_nothing_was_lost(server: Server, load: Load, worker_kills: int) -> None:
    images = until(lambda: all_processed(server), "every image to be processed", patience=300)
    ids = [image["id"] for image in images]
    assert len(set(ids)) == len(ids)
    assert load.acknowledged.keys() <= set(ids)
    assert len(ids) <= len(load.acknowledged) + load.unanswered
    assert all(image["attempts"] >= 1 for image in images)
    assert sum(image["attempts"] - 1 for image in images) <= worker_kills
    with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
        for identity, body in load.acknowledged.items():
            assert client.get(f"/v1/images/{identity}/original").content == body


def assert_nothing_else_stays(server: Server) -> int:
    """Reconcile; how many orphans that, and the reconciles at each start, removed."""
    first, second = (server.post("/v1/sweeps", json={}).json() for _ in range(2))
    assert second["orphans"] == 0
    named = {f"{image['id']}.original.original" for image in pages(server)}
    for image in pages(server):
        named |= {f"{image['id']}.rendition.{rendition['name']}" for rendition in image["renditions"]}
    assert sorted(server.objects()) == sorted(named)
    at_starts = server.log.read_text(encoding="utf-8").count('"orphan_removed"')
    assert at_starts >= first["orphans"]
    return at_starts


def campaign(server: Server, picture: bytes, rounds: int) -> None:
    seed = int(os.environ.get("MAYFLY_CHAOS_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"MAYFLY_CHAOS_SEED={seed}")
    chance = random.Random(seed)
    server.start()
    moment, worker_kills = threading.Event(), 0
    with Load(server, picture) as load:
        for number in range(rounds):
            load.begin_round()
            # The moment of the kill is what is tried here; nothing is waited for.
            moment.wait(chance.uniform(0, LATEST_KILL_SECONDS))
            kill = KILLS[number] if number < len(KILLS) else chance.choice(KILLS)
            kill(server)
            worker_kills += kill is kill_worker
            print(f"round {number + 1}: {kill.__name__}, {len(load.acknowledged)} acknowledged")
        load.begin_round()
    assert_nothing_was_lost(server, load, worker_kills)
    orphans = assert_nothing_else_stays(server)
    print(f"{len(load.acknowledged)} acknowledged, {load.unanswered} unanswered, {orphans} orphans removed")
    workers = server.children()
    assert server.stop() == 0
    until(lambda: not any(map(alive, workers)), "the workers to end")


@pytest.fixture
def under_load(make_server: MakeServer) -> Server:
    return make_server(options=("--workers", "2"), environment={"MAYFLY_ATTEMPTS": str(ATTEMPTS)})


def test_kills_under_load_lose_nothing_and_double_nothing(under_load: Server, small: bytes) -> None:
    campaign(under_load, small, ROUNDS)


@pytest.mark.chaos
def test_a_long_campaign_of_kills_loses_nothing_and_doubles_nothing(under_load: Server, small: bytes) -> None:
    campaign(under_load, small, int(os.environ.get("MAYFLY_CHAOS_ROUNDS", "50")))


def test_a_worker_killed_under_a_living_owner_costs_its_image_one_attempt(server: Server, small: bytes) -> None:
    image, worker = hold(server, small)
    os.kill(worker, signal.SIGKILL)
    done = server.until_state(image["id"], "processed", "failed")
    assert (done["state"], done["attempts"]) == ("processed", 2)
    assert the_worker(server) != worker
    assert not alive(worker)


def test_a_worker_killed_while_it_is_idle_is_replaced_before_the_next_image(server: Server, small: bytes) -> None:
    server.until_state(server.upload(small)["id"], "processed")
    kill_worker(server)
    done = server.until_state(server.upload(marked(small, "another"))["id"], "processed")
    assert done["attempts"] == 1


@pytest.mark.parametrize("kill", [kill_server, kill_all])
def test_the_death_of_the_owner_costs_no_attempt(server: Server, small: bytes, kill: Callable[[Server], None]) -> None:
    image, worker = hold(server, small)
    kill(server)
    done = server.until_state(image["id"], "processed", "failed")
    assert (done["state"], done["attempts"]) == ("processed", 1)
    assert not alive(worker)
    assert server.get(f"/v1/images/{image['id']}/original").content == small
