"""What the door refuses: each with a problem document, and with nothing left behind."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from mayfly.model.identity import ImageId
from mayfly.model.instant import Ms
from mayfly.model.retention import Retention
from support.door import RawConnection, Traces, assert_problem, nothing_left
from support.pictures import BOMB_SIDE, gif, png_bomb
from support.server import Server, until

LARGEST = 10 * 1024 * 1024
BOUNDARY = "edge-of-a-part"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
JPEG_HEAD = bytes.fromhex("ffd8ffe000104a46494600010100000100010000")


def part(name: str, body: bytes, file_name: str | None = None, kind: str | None = None) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if file_name is not None:
        disposition += f'; filename="{file_name}"'
    lines = [f"--{BOUNDARY}", disposition, *([f"Content-Type: {kind}"] if kind else []), "", ""]
    return "\r\n".join(lines).encode() + body + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()

NO_IMAGES = {
    "an empty body": (b"", {}, 400, "empty-body", "send the image's bytes"),
    "text": (b"just a few words\n" * 20, {}, 415, "unknown-type", "are text"),
    "text declared as JPEG": (b"words " * 50, {"Content-Type": "image/jpeg"}, 415, "unknown-type", "are text"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>' * 9, {}, 415, "unknown-type", "SVG"),
    "SVG after an XML head": (b'<?xml version="1.0"?><svg/>' * 9, {}, 415, "unknown-type", "SVG"),
    "SVG declared as such": (b"<svg/>", {"Content-Type": "image/svg+xml"}, 415, "unknown-type", "'image/svg+xml'"),
    "PDF": (b"%PDF-1.7\n" + bytes(200), {}, 415, "unknown-type", "PDF"),
    "PostScript": (b"%!PS-Adobe-3.0\n" + bytes(200), {}, 415, "unknown-type", "PostScript"),
    "MVG": (b"push graphic-context\nviewbox 0 0 640 480\n" * 5, {}, 415, "unknown-type", "ImageMagick"),
    "MSL": (b'<?xml version="1.0"?>\n<image><read filename="x"/></image>' * 3, {}, 415, "unknown-type", "JPEG, PNG"),
    "a PNG bomb": (png_bomb(), {}, 422, "too-many-pixels", f"{BOMB_SIDE} x {BOMB_SIDE}"),
    "a GIF bomb": (gif(1, side=BOMB_SIDE), {}, 422, "too-many-pixels", f"{BOMB_SIDE} x {BOMB_SIDE}"),
    "another type than declared": (gif(1), {"Content-Type": "image/png"}, 415, "type-mismatch", "declare image/gif"),
}


@pytest.mark.parametrize("name", NO_IMAGES)
def test_what_is_no_image_we_take_is_refused(door: Server, name: str) -> None:
    body, headers, status, slug, says = NO_IMAGES[name]
    with nothing_left(door):
        assert_problem(door.post("/v1/images", content=body, headers=headers), status, slug, says)


@pytest.mark.parametrize("name", [name for name in NO_IMAGES if name != "SVG declared as such"])
def test_the_same_is_refused_in_a_form(door: Server, name: str) -> None:
    body, headers, status, slug, says = NO_IMAGES[name]
    form = part("retain", b"PT1H") + part("file", body, "photo.jpg", headers.get("Content-Type")) + END
    with nothing_left(door):
        assert_problem(door.post("/v1/images", content=form, headers=FORM), status, slug, says)


def test_a_text_file_named_jpg_is_refused(door: Server) -> None:
    with nothing_left(door):
        files = {"file": ("holiday.jpg", b"not a picture at all " * 10, "image/jpeg")}
        assert_problem(door.post("/v1/images", files=files), 415, "unknown-type", "are text", "JPEG, PNG")


BROKEN_FORMS = {
    "empty": (b"", "body-cut", "whole form"),
    "no parts": (END, "invalid-request", "'file'"),
    "another boundary": (part("file", gif(1), "a.gif").replace(b"edge", b"ledge"), "invalid-request", "boundaries"),
    "cut within the file": (part("file", gif(1), "a.gif")[:-8], "body-cut", "whole form"),
    "cut before its end": (part("file", gif(1), "a.gif"), "body-cut", "whole form"),
    "cut within a part's head": (part("file", gif(1), "a.gif")[:40], "body-cut", "whole form"),
    "no part named file": (part("retain", b"PT1H") + END, "invalid-request", "'file'"),
    "the file under another name": (part("image", gif(1), "a.gif") + END, "invalid-request", "name it 'file'"),
    "a field after the file": (
        part("file", gif(1), "a.gif") + part("retain", b"PT1H") + END,
        "invalid-request",
        "comes once, and last",
    ),
    "two files": (
        part("file", gif(1), "a.gif") + part("file", gif(1), "b.gif") + END,
        "invalid-request",
        "comes once, and last",
    ),
    "an empty file": (part("file", b"", "a.gif") + END, "empty-body", "send the image's bytes"),
    "an unknown field": (part("colour", b"red") + part("file", gif(1), "a.gif") + END, "invalid-request", "'colour'"),
    "a field twice": (
        part("retain", b"PT1H") + part("retain", b"PT2H") + part("file", gif(1), "a.gif") + END,
        "invalid-request",
        "two parts named 'retain'",
    ),
    "an endless field": (part("retain", b"P" * 5_000), "invalid-request", "longer than"),
}


@pytest.mark.parametrize("name", BROKEN_FORMS)
def test_a_wrong_form_is_refused(door: Server, name: str) -> None:
    body, slug, says = BROKEN_FORMS[name]
    with nothing_left(door):
        assert_problem(door.post("/v1/images", content=body, headers=FORM), 400, slug, says)


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "x" * 71])
def test_a_form_without_a_usable_boundary_is_refused(door: Server, boundary: str) -> None:
    with nothing_left(door):
        headers = {"Content-Type": f"multipart/form-data{boundary}"}
        form = part("file", gif(1), "a.gif") + END
        assert_problem(door.post("/v1/images", content=form, headers=headers), 400, "invalid-request", "boundary")


def test_one_byte_too_many_is_refused_by_its_header_before_the_body_is_read(door: Server) -> None:
    with nothing_left(door), RawConnection(door) as connection:
        connection.begin_post("/v1/images", f"Content-Length: {LARGEST + 1}", "Content-Type: image/jpeg")
        assert_problem(connection.answer(), 413, "too-large", str(LARGEST), str(LARGEST + 1))


def test_one_byte_too_many_is_refused_while_an_unmeasured_body_still_comes(door: Server) -> None:
    with nothing_left(door), RawConnection(door) as connection:
        connection.begin_post("/v1/images", "Transfer-Encoding: chunked")
        connection.send_chunk(JPEG_HEAD + bytes(LARGEST - len(JPEG_HEAD)))
        assert_stored_meanwhile(door)
        connection.send_chunk(b"\x00")
        # The body has not ended: no last chunk was sent.
        assert_problem(connection.answer(), 413, "too-large", str(LARGEST))


def test_one_byte_too_many_is_refused_in_a_form(door: Server) -> None:
    with nothing_left(door):
        body = part("file", JPEG_HEAD + bytes(LARGEST + 1 - len(JPEG_HEAD)), "a.jpg") + END
        assert_problem(door.post("/v1/images", content=body, headers=FORM), 413, "too-large", str(LARGEST))


def test_a_form_longer_than_any_image_with_its_fields_is_refused_by_its_header(door: Server) -> None:
    with nothing_left(door), RawConnection(door) as connection:
        kind = f"Content-Type: {FORM['Content-Type']}"
        connection.begin_post("/v1/images", f"Content-Length: {LARGEST + 300 * 1024}", kind)
        assert_problem(connection.answer(), 413, "too-large", str(LARGEST))


def assert_stored_meanwhile(door: Server) -> None:
    """The body goes to the store as it comes: what has to vanish was really there."""
    until(lambda: any(name.endswith(".part") for name in door.objects()), "a part in the store")


@pytest.mark.parametrize("head", [("Content-Length: 50000",), ("Transfer-Encoding: chunked",)])
@pytest.mark.parametrize("form", [False, True])
def test_a_connection_cut_mid_body_leaves_nothing(door: Server, head: tuple[str, ...], form: bool) -> None:
    sent = JPEG_HEAD + bytes(20_000)
    kind = FORM["Content-Type"] if form else "image/jpeg"
    if form:
        sent = part("file", sent, "a.jpg")[:-2]
    with nothing_left(door):
        with RawConnection(door) as connection:
            connection.begin_post("/v1/images", *head, f"Content-Type: {kind}", "Idempotency-Key: cut")
            connection.send_chunk(sent) if "chunked" in head[0] else connection.send(sent)
            assert_stored_meanwhile(door)
            assert Traces.of(door).rows["reservations"] == 1
        until(lambda: not door.objects(), "the part to be taken away")
    with nothing_left(door):
        # The key is free again: a repeat is refused for its own fault, not as being under way.
        response = door.post("/v1/images", content=b"words", headers={"Idempotency-Key": "cut"})
        assert_problem(response, 415, "unknown-type")


BAD_PARAMETERS = {
    "no duration": ({"retain": "an hour"}, "ISO 8601"),
    "empty": ({"retain": ""}, "ISO 8601"),
    "no time at all": ({"retain": "PT0M"}, "1 to 10080"),
    "longer than seven days": ({"retain": "P8D"}, "1 to 10080"),
    "seconds": ({"retain": "PT90S"}, "whole minutes"),
    "an unknown parameter": ({"colour": "red"}, "'colour'"),
    "a nearly known one": ({"Retain": "PT1H"}, "'Retain'"),
    "an undeclared label": ({"label.colour": "red"}, "not declared in mayfly.toml; declared are: customer, site"),
    "a label without a name": ({"label.": "red"}, "not declared"),
    "an empty label": ({"label.site": ""}, "1 to 256"),
    "a long label": ({"label.site": "x" * 257}, "1 to 256"),
    "a label of controls": ({"label.site": "a\x1b[2J"}, "printable"),
    "seventeen labels": ({f"label.l{number}": "x" for number in range(17)}, "not declared"),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_a_wrong_parameter_is_refused(door: Server, name: str, small: bytes) -> None:
    parameters, says = BAD_PARAMETERS[name]
    with nothing_left(door):
        response = door.post("/v1/images", content=small, params=parameters)
        assert_problem(response, 400, "invalid-request", says)


@pytest.mark.parametrize("name", [name for name in BAD_PARAMETERS if name != "a label of controls"])
def test_a_wrong_field_is_refused(door: Server, name: str, small: bytes) -> None:
    parameters, says = BAD_PARAMETERS[name]
    with nothing_left(door):
        response = door.post("/v1/images", data=parameters, files={"file": ("a.jpg", small)})
        assert_problem(response, 400, "invalid-request", says)


def test_a_parameter_given_twice_is_refused(door: Server, small: bytes) -> None:
    for twice in ("retain=PT1H&retain=PT2H", "label.site=a&label.site=b"):
        with nothing_left(door):
            response = door.post(f"/v1/images?{twice}", content=small)
            assert_problem(response, 400, "invalid-request", "given twice")


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb"])
def test_a_malformed_idempotency_key_is_refused(door: Server, key: str, small: bytes) -> None:
    with nothing_left(door):
        response = door.post("/v1/images", content=small, headers={"Idempotency-Key": key})
        assert_problem(response, 400, "invalid-request", "1 to 255")


UNKNOWN = {
    "alive by its id, but unknown": None,
    "another version of UUID": "550e8400-e29b-41d4-a716-446655440000",
    "in capitals": "019DD5EC-4B1F-89D8-8123-456789ABCDEF",
    "a retention out of bounds": "019dd5ec-4b1f-8fff-bfff-456789abcdef",
    "a birth no calendar holds": "ffffffff-ffff-89d8-8123-456789abcdef",
    "not an id": "latest",
    "a path": "..%2F..%2Fmayfly.db",
    "no UTF-8": "%ff%fe",
    "a null byte": "%00",
    "very long": "0" * 5_000,
}


def calls(server: Server, identity: str) -> list[Callable[[], Any]]:
    path = f"/v1/images/{identity}"
    return [
        lambda: server.get(path),
        lambda: server.get(f"{path}/original"),
        lambda: server.get(f"{path}/renditions/thumb"),
        lambda: server.post(f"{path}/retry"),
        lambda: server.request("DELETE", path),
    ]


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_id_is_not_found(door: Server, name: str) -> None:
    identity = UNKNOWN[name] or living_but_unknown()
    for call in calls(door, identity):
        response = call()
        slug = response.json()["type"].rpartition("/")[2]
        # A slash or nothing where the id should be is no route of ours; everything else is no image of ours.
        assert slug == ("no-route" if name == "a path" else "not-found"), response.text
        assert_problem(response, 404, slug)


def living_but_unknown() -> str:
    """An id that would be alive: its birth is the server's present."""
    return str(ImageId.new(Ms(time.time_ns() // 1_000_000), Retention.parse("P7D")))


def test_an_id_past_its_death_is_gone_whether_or_not_it_was_ever_known(door: Server) -> None:
    for call in calls(door, "00000000-0001-8000-9123-456789abcdef"):
        assert_problem(call(), 410, "gone")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("cursor=broken", "next_cursor of the previous page"),
        ("cursor=", "next_cursor of the previous page"),
        ("cursor=%ff", "next_cursor of the previous page"),
        ("cursor=" + "A" * 22, "next_cursor of the previous page"),
        ("cursor=" + "A" * 24, "next_cursor of the previous page"),
        ("limit=0", "1 to 200"),
        ("limit=201", "1 to 200"),
        ("limit=-1", "1 to 200"),
        ("limit=ten", "1 to 200"),
        ("limit=1.5", "1 to 200"),
        ("limit=000000001999", "1 to 200"),
        ("limit=" + "0" * 8 + "1" * 5_000, "1 to 200"),
        ("limit=", "1 to 200"),
        ("state=done", "received"),
        ("state=", "received"),
        ("source=ftp", "kafka"),
        ("received_from=yesterday", "RFC 3339"),
        ("received_from=2026-02-30T00:00:00Z", "RFC 3339"),
        ("received_to=2026-01-01T00:00:00", "RFC 3339"),
        ("received_to=2026-01-01", "RFC 3339"),
        ("received_to=99999-01-01T00:00:00Z", "RFC 3339"),
        ("colour=red", "'colour' is no filter; there are cursor"),
    ],
)
def test_a_wrong_question_to_the_list_is_refused(door: Server, query: str, says: str) -> None:
    assert_problem(door.get(f"/v1/images?{query}"), 400, "invalid-request", says)


def test_what_is_no_route_and_what_is_no_method_say_so(door: Server) -> None:
    assert_problem(door.get("/v1/pictures"), 404, "no-route", "/openapi.json")
    assert_problem(door.get("/v1/images/"), 404, "no-route")
    response = door.request("PUT", "/v1/images")
    assert_problem(response, 405, "wrong-method", "GET, HEAD, POST")
    assert response.headers["allow"] == "GET, HEAD, POST"


def test_every_type_of_problem_that_was_answered_can_be_looked_up(door: Server) -> None:
    document = assert_problem(door.get("/v1/images?limit=0"), 400, "invalid-request")
    assert door.get(document["type"]).json() == {
        "slug": "invalid-request",
        "status": 400,
        "title": "The request is malformed",
    }
    assert_problem(door.get("/problems/none-such"), 404, "no-route")


def test_a_storm_of_refusals_leaves_nothing(door: Server) -> None:
    refused = list(NO_IMAGES.values()) * 3
    answers: list[int] = []

    def send(body: bytes, headers: dict[str, str]) -> None:
        answers.append(door.post("/v1/images", content=body, headers=headers).status_code)

    with nothing_left(door):
        threads = [threading.Thread(target=send, args=(body, headers)) for body, headers, *_ in refused]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == sorted(status for _, _, status, *_ in refused)
