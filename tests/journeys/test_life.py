"""One image's whole life on one machine, over HTTP."""

import hashlib
import time
from datetime import datetime

import httpx
import pytest

from support.server import WEEK_SECONDS, MakeServer, Server, until

RENDITIONS = {"thumb": 256, "preview": 1024, "large": 1600}


def test_an_uploaded_photo_is_processed_and_served_with_its_renditions_and_facts(server: Server, photo: bytes) -> None:
    image = server.upload(photo)
    done = server.until_state(image["id"], "processed")

    assert {rendition["name"]: rendition["width"] for rendition in done["renditions"]} == RENDITIONS
    assert (done["facts"]["width"], done["facts"]["height"], done["facts"]["format"]) == (1_600, 1_200, "jpeg")
    assert done["sha256"] == hashlib.sha256(photo).hexdigest()
    assert server.get(f"/v1/images/{image['id']}/original").content == photo
    for rendition in done["renditions"]:
        response = server.get(rendition["href"])
        assert response.headers["content-type"] == rendition["media_type"]
        assert len(response.content) == rendition["bytes"]
        assert response.headers["cache-control"] == "private, no-store"
        assert response.headers["x-content-type-options"] == "nosniff"


def test_what_is_stored_shows_nothing_of_the_picture_its_name_or_its_hash(server: Server, photo: bytes) -> None:
    headers = {"Content-Disposition": 'attachment; filename="canary-of-the-house.jpg"'}
    image = server.post("/v1/images", content=photo, headers=headers).json()
    server.until_state(image["id"], "processed")
    assert image["file_name"] == "canary-of-the-house.jpg"

    for path in server.files():
        stored = path.read_bytes()
        assert b"canary-of-the-house" not in stored, path
        assert photo[2_000:2_064] not in stored, path
        assert image["sha256"].encode() not in stored, path
        assert bytes.fromhex(image["sha256"]) not in stored, path
    assert "canary-of-the-house" not in server.log.read_text()
    assert image["sha256"] not in server.log.read_text()


def test_a_life_of_one_minute_ends_to_the_second_and_leaves_no_byte(server: Server, photo: bytes) -> None:
    image = server.upload(photo, retain="PT1M")
    done = server.until_state(image["id"], "processed")
    paths = [f"/v1/images/{image['id']}", f"/v1/images/{image['id']}/original"]
    paths += [rendition["href"] for rendition in done["renditions"]]
    death = datetime.fromisoformat(image["expires_at"]).timestamp()
    assert death == int(datetime.fromisoformat(image["received_at"]).timestamp()) + 60
    remains = _remains(server, death)

    with httpx.Client(base_url=server.url) as client:
        last_served = _watch_until_gone(client, paths, death)
        assert all(0 <= death - moment < 2 for moment in last_served.values()), last_served
        assert all(client.get(path).status_code == 410 for path in paths)
        assert client.get("/v1/images").json()["items"] == []

    minute_end = (int(death) // 60 + 1) * 60
    until(lambda: not server.objects(), "the bytes to go", patience=180)
    assert time.time() < minute_end + 60
    until(lambda: not _found(server, remains), "the last byte to go", patience=30)


def _remains(server: Server, death: float) -> list[bytes]:
    """What no file may hold after the sweep: the key, and a stretch of each object's ciphertext."""
    slot = (server.keys / "minutes.slots").read_bytes()[4_096 + int(death) // 60 % 32_768 * 64 :][:64]
    assert int.from_bytes(slot[:8], "little") == int(death) // 60 + 1
    stored = [path.read_bytes() for path in server.files() if path.name in server.objects()]
    assert len(stored) == 4
    sealed = (server.data / "mayfly.db-wal").read_bytes()
    record = sealed.index(b"MFS1")
    remains = [slot[8:40], sealed[record : record + 64], *(body[200:264] for body in stored)]
    assert _found(server, remains) == len(remains)
    return remains


def _found(server: Server, remains: list[bytes]) -> int:
    whole = b"\n".join(path.read_bytes() for path in server.files() if path.name != "reserve")
    return sum(1 for part in remains if part in whole)


def _watch_until_gone(client: httpx.Client, paths: list[str], death: float) -> dict[str, float]:
    """The last moment at which each path answered 200. Nothing but 200 before the death, nothing but 410 after."""
    last_served: dict[str, float] = {}
    while time.time() < death + 1:
        for path in paths:
            asked = time.time()
            try:
                status = client.get(path).status_code
            except (httpx.RemoteProtocolError, httpx.ReadError):
                # A response that crosses its second is cut off, with what of it still lay in the kernel.
                assert time.time() >= death, path
                continue
            if status == 200:
                assert asked < death, path
                last_served[path] = asked
            else:
                assert status == 410, path
                assert time.time() >= death, path
    return last_served


def test_after_seven_days_files_records_and_keys_are_gone(make_server: MakeServer, photo: bytes) -> None:
    server = make_server(movable=True).start()
    image = server.upload(photo)
    server.until_state(image["id"], "processed")
    server.move_clock(WEEK_SECONDS - 120)
    assert server.get(f"/v1/images/{image['id']}/original").content == photo

    server.move_clock(WEEK_SECONDS + 60)
    assert server.get(f"/v1/images/{image['id']}").status_code == 410
    until(lambda: not server.objects(), "the sweep")
    until(lambda: server.get(f"/v1/images/{image['id']}/original").status_code == 410, "410")
    again = server.upload(photo)
    server.until_state(again["id"], "processed")


def test_what_fell_due_while_the_server_was_off_is_gone_before_it_is_ready(
    make_server: MakeServer, photo: bytes
) -> None:
    server = make_server(movable=True).start()
    images = [server.upload(photo) for _ in range(5)]
    for image in images:
        server.until_state(image["id"], "processed")
    assert server.stop() == 0
    assert len(server.objects()) == 20
    server.move_clock(8 * 86_400)
    server.start(ready=False)

    def answered() -> bool:
        ready = server.get("/readyz").status_code == 200
        assert server.get(f"/v1/images/{images[0]['id']}").status_code == 410
        assert not (ready and server.objects())
        return ready

    until(answered, "readiness")
    image = server.upload(photo)
    server.until_state(image["id"], "processed")


def test_a_clock_that_jumps_destroys_nothing_until_it_is_confirmed(make_server: MakeServer, photo: bytes) -> None:
    server = make_server(movable=True).start()
    image = server.upload(photo)
    server.until_state(image["id"], "processed")
    server.move_clock(30 * 86_400, trusted=False)

    held = server.get("/readyz")
    assert (held.status_code, held.json()["type"]) == (503, "/problems/clock-held")
    assert server.get(f"/v1/images/{image['id']}").status_code == 410
    assert server.post("/v1/images", content=photo).status_code == 503
    assert server.post("/v1/sweeps", json={}).status_code == 503
    assert len(server.objects()) == 4

    server.move_clock(0)
    assert server.get(f"/v1/images/{image['id']}/original").content == photo
    server.move_clock(30 * 86_400, trusted=False)
    assert server.post("/v1/clock/confirm", json={}).status_code == 200
    until(lambda: not server.objects(), "the sweep")
    until(lambda: server.get("/readyz").status_code == 200, "readiness")


def test_an_image_erased_early_is_gone_at_once_and_remembered_until_its_time(
    make_server: MakeServer, photo: bytes
) -> None:
    server = make_server(movable=True).start()
    image = server.upload(photo, retain="PT1H")
    done = server.until_state(image["id"], "processed")
    assert httpx.delete(f"{server.url}/v1/images/{image['id']}").status_code == 204
    assert server.objects() == []
    paths = [f"/v1/images/{image['id']}", f"/v1/images/{image['id']}/original", done["renditions"][0]["href"]]
    assert [server.get(path).status_code for path in paths] == [410, 410, 410]
    assert httpx.delete(f"{server.url}/v1/images/{image['id']}").status_code == 410
    assert server.get("/v1/images").json()["items"] == []

    server.kill()
    server.start()
    assert [server.get(path).status_code for path in paths] == [410, 410, 410]
    identity = bytes.fromhex(image["id"].replace("-", ""))
    assert identity in (server.keys / "erased.ids").read_bytes()
    server.move_clock(2 * 3_600)
    until(lambda: identity not in (server.keys / "erased.ids").read_bytes(), "the memory of it to die with its key")


def test_a_second_owner_of_the_folder_is_refused_with_the_firsts_pid(server: Server) -> None:
    second = Server(server.folder, options=("--workers", "1"))
    with pytest.raises(AssertionError, match=f"pid {server.pid}"):
        second.start()


def test_a_folder_keeps_the_kind_of_clock_it_was_made_with(make_server: MakeServer) -> None:
    server = make_server(options=("--workers", "1")).start()
    server.stop()
    server.clock = server.folder / "clock"
    with pytest.raises(AssertionError, match="leave --clock away"):
        server.start()
