"""What the server gives back: every format it takes, ranges to the byte, lists without gaps."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pyvips

from support.door import assert_problem, stored_bytes
from support.pictures import ENCODED, gif, gradient, noise
from support.server import MakeServer, Server, until

SEGMENT = 64 * 1024
SOON_SECONDS = 10.0
"""How long a verdict about an image may take."""


@pytest.mark.parametrize("media_type", ENCODED)
@pytest.mark.parametrize("declared", [None, "application/octet-stream", "its own"])
def test_every_format_is_taken_whether_it_is_declared_or_not(
    door: Server, media_type: str, declared: str | None
) -> None:
    body = ENCODED[media_type](gradient(90, 60))
    headers = {} if declared is None else {"Content-Type": media_type if declared == "its own" else declared}
    response = door.post("/v1/images", content=body, headers=headers)
    assert (response.status_code, response.json()["media_type"]) == (201, media_type)
    done = door.until_state(response.json()["id"], "processed")
    assert done["facts"]["format"] == media_type.removeprefix("image/")
    assert (done["facts"]["width"], done["facts"]["height"]) == (90, 60)
    assert door.get(f"/v1/images/{done['id']}/original").content == body
    for rendition in done["renditions"]:
        picture = pyvips.Image.new_from_buffer(door.get(rendition["href"]).content, "")
        assert (picture.width, picture.height) == (rendition["width"], rendition["height"]) == (90, 60)


def test_a_form_carries_retention_labels_and_the_files_name(door: Server, small: bytes) -> None:
    fields = {"retain": "PT2H", "label.site": "north", "label.customer": "Ada"}
    response = door.post("/v1/images", data=fields, files={"file": ("née.jpg", small, "image/jpeg")})
    assert response.status_code == 201, response.text
    image = response.json()
    assert (image["file_name"], image["labels"]) == ("née.jpg", {"site": "north", "customer": "Ada"})
    assert lifetime(image) == timedelta(hours=2)


def test_a_label_that_is_a_fact_stands_in_the_open_and_a_personal_one_nowhere(door: Server, small: bytes) -> None:
    image = door.upload(small, **{"label.site": "quarry-of-facts", "label.customer": "canary-of-persons"})
    assert image["labels"] == {"site": "quarry-of-facts", "customer": "canary-of-persons"}
    assert door.image(image["id"])["labels"] == image["labels"]
    entry = next(item for item in door.get("/v1/images").json()["items"] if item["id"] == image["id"])
    assert entry["labels"] == {"site": "quarry-of-facts"}
    assert entry.keys() == image.keys() - {"sha256", "file_name", "uploader", "personal_facts", "receipt"}
    assert b"quarry-of-facts" in stored_bytes(door)
    assert b"canary-of-persons" not in stored_bytes(door)
    assert "canary-of-persons" not in door.log.read_text(encoding="utf-8")


def faulty(photo: bytes) -> dict[str, bytes]:
    return {"truncated": photo[: len(photo) // 2], "too-many-frames": gif(10_000)}


@pytest.mark.parametrize("reason", ["truncated", "too-many-frames"])
def test_what_only_decoding_tells_is_rejected_soon_and_its_bytes_are_gone(
    door: Server, photo: bytes, reason: str
) -> None:
    quiet = door.upload(gif(1))
    door.until_state(quiet["id"], "processed")  # so that a worker is there, and nothing is before ours

    image = door.upload(faulty(photo)[reason])
    until(lambda: door.image(image["id"])["state"] == "rejected", "the verdict", patience=SOON_SECONDS)
    rejected = door.image(image["id"])
    assert (rejected["reason"], rejected["attempts"], rejected["renditions"]) == (reason, 1, [])
    until(lambda: not any(image["id"] in name for name in door.objects()), "its bytes to go", patience=SOON_SECONDS)
    assert_problem(door.get(f"/v1/images/{image['id']}/original"), 404, "not-found", "not kept")
    assert_problem(door.post(f"/v1/images/{image['id']}/retry"), 409, "conflict", "rejected")
    assert image["id"] in [item["id"] for item in door.get("/v1/images?state=rejected").json()["items"]]


def test_only_what_failed_is_tried_again(door: Server, small: bytes) -> None:
    image = door.upload(small)
    door.until_state(image["id"], "processed")
    assert_problem(door.post(f"/v1/images/{image['id']}/retry"), 409, "conflict", "processed", "failed")
    assert_problem(door.get(f"/v1/images/{image['id']}/renditions/huge"), 404, "not-found", "large", "thumb")


@pytest.fixture(scope="module")
def large(door: Server) -> tuple[str, bytes]:
    """The path of an original of several segments, and its bytes."""
    body = ENCODED["image/png"](noise(640, 400))
    assert 3 * SEGMENT < len(body) < 5 * SEGMENT
    return f"/v1/images/{door.upload(body)['id']}/original", body


RANGES = [
    ("0-0", 0, 1),
    ("0-99", 0, 100),
    (f"{SEGMENT - 1}-{SEGMENT - 1}", SEGMENT - 1, SEGMENT),
    (f"{SEGMENT}-{SEGMENT}", SEGMENT, SEGMENT + 1),
    (f"{SEGMENT - 1}-{SEGMENT}", SEGMENT - 1, SEGMENT + 1),
    (f"{SEGMENT}-{2 * SEGMENT - 1}", SEGMENT, 2 * SEGMENT),
    (f"{SEGMENT - 5}-{3 * SEGMENT + 5}", SEGMENT - 5, 3 * SEGMENT + 6),
    ("1-", 1, None),
    (f"{SEGMENT}-", SEGMENT, None),
    ("-1", -1, None),
    (f"-{SEGMENT + 1}", -SEGMENT - 1, None),
    ("-99999999", 0, None),
    ("0-99999999", 0, None),
]


@pytest.mark.parametrize(("text", "start", "stop"), RANGES)
def test_a_range_is_served_to_the_byte(
    door: Server, large: tuple[str, bytes], text: str, start: int, stop: int | None
) -> None:
    path, body = large
    response = door.get(path, headers={"Range": f"bytes={text}"})
    expected = body[start:stop]
    first = len(body) + start if start < 0 else start
    assert (response.status_code, response.content == expected) == (206, True)
    assert response.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(body)}"
    assert response.headers["content-length"] == str(len(expected))
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["content-type"] == "image/png"


def test_the_last_byte_can_be_asked_for_and_the_one_after_it_not(door: Server, large: tuple[str, bytes]) -> None:
    path, body = large
    last = door.get(path, headers={"Range": f"bytes={len(body) - 1}-"})
    assert (last.status_code, last.content) == (206, body[-1:])
    for text in (f"{len(body)}-", f"{len(body)}-{len(body) + 9}", "-0", "999999999999999999-"):
        beyond = door.get(path, headers={"Range": f"bytes={text}"})
        assert_problem(beyond, 416, "range-not-satisfiable", str(len(body)))
        assert beyond.headers["content-range"] == f"bytes */{len(body)}"


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "bytes=5-1", "bytes=-", "bytes=a-b", "bytes", "lines=0-1", "0-1"])
def test_several_ranges_and_malformed_ones_get_the_whole(door: Server, large: tuple[str, bytes], header: str) -> None:
    path, body = large
    response = door.get(path, headers={"Range": header})
    assert (response.status_code, response.content == body) == (200, True)
    assert response.headers["accept-ranges"] == "bytes"


def test_a_range_that_is_conditional_gets_the_whole_for_no_version_can_be_known(
    door: Server, large: tuple[str, bytes]
) -> None:
    path, body = large
    response = door.get(path, headers={"Range": "bytes=0-9", "If-Range": '"some-version"'})
    assert (response.status_code, len(response.content)) == (200, len(body))


def test_renditions_serve_ranges_too(door: Server, photo: bytes) -> None:
    done = door.until_state(door.upload(photo)["id"], "processed")
    href = next(item["href"] for item in done["renditions"] if item["name"] == "large")
    whole = door.get(href).content
    assert len(whole) > 2 * SEGMENT
    for text, start, stop in RANGES:
        response = door.get(href, headers={"Range": f"bytes={text}"})
        assert (response.status_code, response.content == whole[start:stop]) == (206, True), text


def test_head_answers_as_get_would_without_the_bytes(door: Server, large: tuple[str, bytes]) -> None:
    path, body = large
    for each in (path, path.removesuffix("/original"), "/v1/images", "/v1/limits", "/healthz", "/readyz"):
        got, head = door.get(each), door.request("HEAD", each)
        assert (head.status_code, head.content) == (200, b""), each
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers.get("cache-control") == got.headers.get("cache-control")
    head = door.request("HEAD", path, headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(body)))
    assert door.request("HEAD", "/v1/images/latest").status_code == 404
    assert door.request("HEAD", "/v1/images/00000000-0001-8000-9123-456789abcdef/original").status_code == 410


def page_through(door: Server, between: Any, **filters: Any) -> list[str]:
    """All ids that pages of two give; `between` is called after each."""
    found: list[str] = []
    parameters = {"limit": 2, **filters}
    while True:
        page = door.get("/v1/images", params=parameters).json()
        found += [item["id"] for item in page["items"]]
        assert len(page["items"]) == 2 or page["next_cursor"] is None
        if page["next_cursor"] is None:
            return found
        parameters["cursor"] = page["next_cursor"]
        between()


def test_pages_have_no_gap_and_no_double_while_uploads_go_on(door: Server) -> None:
    ours = [door.upload(gif(1), **{"label.site": "pages"})["id"] for _ in range(5)]
    before = [item["id"] for item in door.get("/v1/images?limit=200").json()["items"]]
    assert before == sorted(before, reverse=True), "newest first: ids begin with their birth"
    assert before[:5] == sorted(ours, reverse=True)
    assert page_through(door, between=lambda: door.upload(gif(1))) == before


def test_the_list_is_filtered_by_state_source_and_birth(door: Server) -> None:
    images = [door.upload(gif(1)) for _ in range(3)]
    for image in images:
        door.until_state(image["id"], "processed")
    births = [image["received_at"] for image in images]

    def listed(**filters: str) -> set[str]:
        return {item["id"] for item in door.get("/v1/images", params={"limit": "200", **filters}).json()["items"]}

    ours = {image["id"] for image in images}
    assert ours <= listed(state="processed", source="http")
    assert listed(state="failed") == listed(state="awaited") == listed(source="kafka") == set()
    assert images[1]["id"] in listed(received_from=births[1]), "from is inclusive"
    assert images[1]["id"] not in listed(received_to=births[1]), "to is exclusive"
    assert {images[0]["id"], images[1]["id"]} == listed(received_from=births[0], received_to=births[2]) & ours
    shifted = (datetime.fromisoformat(births[2]) + timedelta(hours=2)).isoformat().replace("+00:00", "+02:00")
    assert listed(received_from=shifted) == listed(received_from=births[2])


def lifetime(image: dict[str, Any]) -> timedelta:
    """From the birth, cut to the second."""
    born = datetime.fromisoformat(image["received_at"]).replace(microsecond=0)
    return datetime.fromisoformat(image["expires_at"]) - born


def test_an_upload_may_live_shorter_than_the_setting_and_never_longer(make_server: MakeServer) -> None:
    server = make_server(options=("--workers", "1"), config='retention = "P1D"').start()
    assert lifetime(server.upload(gif(1))) == timedelta(days=1)
    assert lifetime(server.upload(gif(1), retain="P1D")) == timedelta(days=1)
    assert lifetime(server.upload(gif(1), retain="PT1M")) == timedelta(minutes=1)
    assert lifetime(server.upload(gif(1), retain="PT1H30M")) == timedelta(minutes=90)
    for longer in ("P1DT1M", "P7D"):
        response = server.post("/v1/images", content=gif(1), params={"retain": longer})
        assert_problem(response, 400, "invalid-request", "only shorten", "P1D")


def test_every_answer_about_an_image_forbids_copies(door: Server, small: bytes) -> None:
    upload = door.post("/v1/images", content=small)
    image = door.until_state(upload.json()["id"], "processed")
    path = f"/v1/images/{image['id']}"
    answers: list[httpx.Response] = [upload, *(door.get(each) for each in ("/v1/images", path, f"{path}/original"))]
    answers += [door.get(image["renditions"][0]["href"]), door.post(f"{path}/retry"), door.request("DELETE", path)]
    answers += [door.get(path), door.get(f"{path}/original")]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 409, 204, 410, 410]
    for answer in answers:
        assert answer.headers["cache-control"] == "private, no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


FACTS_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "facts.md"


def test_the_page_of_facts_describes_every_fact_and_no_other(door: Server, small: bytes) -> None:
    facts = door.until_state(door.upload(small)["id"], "processed")["facts"]
    names = {name for name in facts if name != "timings"} | {f"timings.{name}" for name in facts["timings"]}
    described = re.findall(r"^\| `([a-z_.]+)` \|", FACTS_PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(described) == sorted(names)
