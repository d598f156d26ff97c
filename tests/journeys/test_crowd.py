"""Many at once: bounded, refused at once when full, and nothing acknowledged is ever lost."""

import concurrent.futures

import httpx

from support.door import RawConnection, assert_problem
from support.pictures import gif
from support.server import MakeServer, until


def test_more_uploads_than_the_setting_allows_are_told_to_come_back(make_server: MakeServer, small: bytes) -> None:
    server = make_server(options=("--workers", "1"), config="max_uploads = 2").start()
    under_way = [RawConnection(server) for _ in range(2)]
    for connection in under_way:
        connection.begin_post("/v1/images", f"Content-Length: {len(small)}")
        connection.send(small[:100])
    until(lambda: len(server.objects()) == 2, "two uploads under way")
    assert_problem(server.post("/v1/images", content=small), 503, "busy", "2 uploads are under way")
    assert server.get("/v1/images").status_code == 200, "reading goes on"

    under_way[0].send(small[100:])
    assert under_way[0].answer().status_code == 201
    server.upload(small)
    under_way[1].close()
    until(lambda: not any(name.endswith(".part") for name in server.objects()), "the cut upload to be let go")
    assert len(server.get("/v1/images").json()["items"]) == 2
    under_way[0].close()


def test_sixty_four_at_once_are_taken_or_told_to_come_back_and_all_get_in(
    make_server: MakeServer, photo: bytes
) -> None:
    server = make_server(options=("--workers", "1"), config="max_uploads = 8").start()
    seen: list[int] = []

    def insist(client: httpx.Client) -> str:
        while True:
            response = client.post("/v1/images", content=photo)
            seen.append(sum(name.endswith(".part") and ".original" in name for name in server.objects()))
            if response.status_code == 201:
                return str(response.json()["id"])
            assert_problem(response, 503, "busy", "8 uploads")

    limits = httpx.Limits(max_connections=64)
    with httpx.Client(base_url=server.url, timeout=120, limits=limits, trust_env=False) as client:
        with concurrent.futures.ThreadPoolExecutor(64) as crowd:
            ids = list(crowd.map(lambda _: insist(client), range(64)))
        assert len(set(ids)) == 64
        assert {item["id"] for item in client.get("/v1/images?limit=200").json()["items"]} == set(ids)
    assert max(seen) <= 8


def test_what_was_acknowledged_together_is_all_there_after_a_crash(make_server: MakeServer) -> None:
    server = make_server(options=("--workers", "1")).start()
    # A byte after its end changes nothing about a GIF, and makes each a body of its own.
    bodies = [gif(1) + bytes([number]) for number in range(32)]
    with concurrent.futures.ThreadPoolExecutor(32) as crowd:
        answers = list(crowd.map(lambda body: server.post("/v1/images", content=body), bodies))
    server.kill()
    assert [answer.status_code for answer in answers] == [201] * 32

    server.start()
    ids = [answer.json()["id"] for answer in answers]
    assert {item["id"] for item in server.get("/v1/images?limit=200").json()["items"]} == set(ids)
    for identity, body in zip(ids, bodies, strict=True):
        assert server.get(f"/v1/images/{identity}/original").content == body
        server.until_state(identity, "processed")
