"""One upload: what is sent, and what is tried again without ever making two images."""

import io
import json
import threading
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from mayfly.client import (
    ConflictError,
    CutError,
    NotMayflyError,
    RefusedError,
    UnavailableError,
    UnreachableError,
    UsageError,
    retrying,
    source,
)
from unit.client.conftest import IDENTITY, URL, Scripted, image, made, problem

JPEG = b"\xff\xd8\xff\xe0 picture"
REFUSED = httpx.ConnectError("Connection refused")
LOST = httpx.ReadError("connection reset")


def form(url: str = f"{URL}/v1/uploads/form") -> httpx.Response:
    fields = {"key": "k", "policy": "p", "x-amz-signature": "s"}
    expires = "2026-11-23T03:35:50Z"
    return httpx.Response(201, json={"id": IDENTITY, "url": url, "fields": fields, "form_expires_at": expires})


def test_a_file_goes_with_its_name_and_the_type_its_name_tells(tmp_path: Path) -> None:
    path = tmp_path / 'grün "1".jpg'
    path.write_bytes(JPEG)
    server = Scripted(made())
    found = server.client().upload(path, retain=timedelta(hours=1), labels={"site": "a b"})
    (request,) = server.requests
    assert (request.method, request.url.path, request.content) == ("POST", "/v1/images", JPEG)
    assert dict(request.url.params) == {"retain": "PT60M", "label.site": "a b"}
    assert request.headers["content-type"] == "image/jpeg"
    assert request.headers["content-length"] == str(len(JPEG))
    assert request.headers["content-disposition"] == (
        "attachment; filename=\"grn 1.jpg\"; filename*=UTF-8''gr%C3%BCn%20%221%22.jpg"
    )
    assert found.id == IDENTITY
    assert found.expires_at - found.received_at < timedelta(hours=1)


@pytest.mark.parametrize("what", [JPEG, io.BytesIO(JPEG)], ids=["bytes", "an open file"])
def test_bytes_and_open_files_declare_what_they_are_told_to(what: bytes | io.BytesIO) -> None:
    server = Scripted(LOST, made(), made())
    client = server.client()
    client.upload(what, file_name="scan", media_type="image/png")
    assert [request.content for request in server.requests] == [JPEG, JPEG], "the second try has the bytes again"
    assert server.said("content-type") == ["image/png"] * 2
    client.upload(JPEG)
    assert server.said("content-type")[-1] == "application/octet-stream"
    assert server.said("content-disposition")[-1] is None


def test_an_open_file_that_is_too_large_to_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_HELD_BYTES", 10)
    with pytest.raises(UsageError, match="give its path"):
        Scripted().client().upload(io.BytesIO(b"eleven byte"))


@pytest.mark.parametrize(
    "fault",
    [
        LOST,
        httpx.RemoteProtocolError("peer closed connection"),
        httpx.WriteError("broken pipe"),
        httpx.ReadTimeout("timed out"),
        REFUSED,
        problem(503, "busy", retry_after="1"),
        problem(429, "too-many", retry_after="1"),
        problem(409, "in-flight", retry_after="1"),
        problem(400, "body-cut"),
        httpx.Response(502, text="<html>Bad Gateway</html>"),
    ],
    ids=str,
)
def test_whatever_was_lost_is_sent_again_under_the_same_key(fault: httpx.Response | Exception) -> None:
    server = Scripted(fault, fault, made())
    assert server.client().upload(JPEG).id == IDENTITY
    keys = server.said("idempotency-key")
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert len(keys[0] or "") == 32
    assert [request.content for request in server.requests] == [JPEG] * 3


def test_each_upload_has_a_key_of_its_own_unless_given_one() -> None:
    server = Scripted(made(), made(), made())
    client = server.client()
    client.upload(JPEG)
    client.upload(JPEG)
    client.upload(JPEG, idempotency_key="order 17")
    first, second, third = server.said("idempotency-key")
    assert first != second
    assert third == "order 17"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(415, "unknown-type"), RefusedError),
        (problem(422, "idempotency-reused"), RefusedError),
        (problem(409, "conflict"), ConflictError),
        (problem(503, "clock-held", retry_after="60"), UnavailableError),
        (httpx.Response(500, text="oops"), NotMayflyError),
    ],
)
def test_what_trying_again_does_not_mend_is_said_at_once(
    answer: httpx.Response, error: type[Exception], pauses: list[float]
) -> None:
    server = Scripted(answer)
    with pytest.raises(error):
        server.client().upload(JPEG)
    assert pauses == []


def test_tries_are_bounded_and_pauses_grow_by_chance_and_heed_retry_after(pauses: list[float]) -> None:
    server = Scripted(*[problem(503, "busy", retry_after="3")] * 4)
    with pytest.raises(UnavailableError, match=r"Title of busy \(503\): what to do") as raised:
        server.client(retries=3).upload(JPEG)
    assert raised.value.retry_after == 3
    assert len(server.requests) == 4
    longest = (0.25, 0.5, 1.0)
    assert all(3 + most / 2 <= pause <= 3 + most for pause, most in zip(pauses, longest, strict=True)), pauses

    pauses.clear()
    server = Scripted(*[LOST] * 21)
    with pytest.raises(CutError):
        server.client(retries=20).upload(JPEG)
    assert max(pauses) <= retrying.LONGEST_PAUSE_SECONDS
    assert pauses[0] < 0.3 < pauses[3]


def test_a_server_that_never_answered_is_not_waited_for(pauses: list[float]) -> None:
    def nobody(_: httpx.Request) -> httpx.Response:
        raise REFUSED

    client = Scripted().client()
    client = type(client)(URL, transport=httpx.MockTransport(nobody))
    with pytest.raises(UnreachableError, match="`mayfly up`"):
        client.upload(JPEG)
    assert pauses == []


def test_once_its_retries_were_spent_on_silence_a_server_is_not_waited_for_until_it_answers(
    pauses: list[float],
) -> None:
    server = Scripted(REFUSED, REFUSED, REFUSED, made(), REFUSED, made())
    client = server.client(retries=1)
    with pytest.raises(UnreachableError):
        client.upload(JPEG)
    assert len(pauses) == 1
    with pytest.raises(UnreachableError):
        client.upload(JPEG)
    assert len(pauses) == 1, "the second is not waited for"
    client.upload(JPEG)
    client.upload(JPEG)
    assert len(pauses) == 2


def test_a_file_that_shrinks_while_it_is_sent_is_told(tmp_path: Path) -> None:
    server = Scripted(httpx.LocalProtocolError("Too little data for declared Content-Length"))
    path = tmp_path / "a.jpg"
    path.write_bytes(JPEG)
    with pytest.raises(Exception, match="was the file changed"):
        server.client().upload(path)


def test_above_direct_bytes_a_form_is_asked_for_and_posted_without_credentials(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(JPEG * 100)
    server = Scripted(form("https://store.example/bucket?x=1"), httpx.Response(204), made(state="received"))
    found = server.client(token="secret").upload(path, retain="PT1H", labels={"site": "a"})
    asked, posted, looked = server.requests
    assert json.loads(asked.content) == {
        "media_type": "image/jpeg",
        "bytes": len(JPEG) * 100,
        "file_name": "large.jpg",
        "retain": "PT1H",
        "labels": {"site": "a"},
    }
    assert asked.headers["authorization"] == looked.headers["authorization"] == "Bearer secret"
    assert str(posted.url) == "https://store.example/bucket?x=1"
    assert "authorization" not in posted.headers
    names = [part.split(b'"')[1] for part in posted.content.split(b"Content-Disposition: form-data; name=")[1:]]
    assert names == [b"key", b"policy", b"x-amz-signature", b"file"], "the file comes last"
    assert posted.content.endswith(b"--\r\n")
    assert JPEG * 100 in posted.content
    assert looked.url.path == f"/v1/images/{IDENTITY}"
    assert found.state == "received"


def test_a_form_tells_the_type_its_first_bytes_tell() -> None:
    server = Scripted(form(), httpx.Response(204), made())
    server.client().upload(JPEG, form=True)
    assert json.loads(server.requests[0].content) == {"media_type": "image/jpeg", "bytes": len(JPEG)}


@pytest.mark.parametrize("second", [httpx.Response(204), problem(403, "form-refused")], ids=str)
def test_a_form_whose_answer_was_lost_is_looked_up_before_it_is_posted_again(second: httpx.Response) -> None:
    arrived = Scripted(form(), LOST, made(state="received"), made(state="received"))
    assert arrived.client().upload(JPEG, form=True).state == "received"
    assert [request.method for request in arrived.requests] == ["POST", "POST", "GET", "GET"], "posted once"

    late = Scripted(form(), LOST, made(state="awaited"), second, made(state="received"), made(state="received"))
    assert late.client().upload(JPEG, form=True).state == "received"
    assert [request.method for request in late.requests][:4] == ["POST", "POST", "GET", "POST"]


def test_a_form_that_is_refused_says_why_in_either_language() -> None:
    xml = "<Error><Code>EntityTooLarge</Code><Message>Your proposed upload exceeds</Message></Error>"
    stored = httpx.Response(400, text=xml, headers={"Content-Type": "application/xml"})
    with pytest.raises(RefusedError, match=r"EntityTooLarge \(400\): Your proposed") as raised:
        Scripted(form(), stored).client().upload(JPEG, form=True)
    assert raised.value.slug == "EntityTooLarge"
    with pytest.raises(RefusedError, match="entity-too-large"):
        Scripted(form(), problem(400, "entity-too-large")).client().upload(JPEG, form=True)


def test_an_image_is_waited_for_until_its_store_has_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def wait(_: threading.Event, seconds: float) -> bool:
        waits.append(seconds)
        return False

    monkeypatch.setattr(threading.Event, "wait", wait)
    server = Scripted(form(), httpx.Response(204), made(state="awaited"), made(state="received"))
    assert server.client().upload(JPEG, form=True).state == "received"
    assert len(waits) == 1


def test_a_form_takes_no_key_of_the_callers() -> None:
    with pytest.raises(UsageError, match="no Idempotency-Key"):
        Scripted().client().upload(JPEG, form=True, idempotency_key="x")


@pytest.mark.parametrize("retain", [timedelta(seconds=90), timedelta(0), timedelta(minutes=-1)])
def test_a_retention_is_whole_minutes(retain: timedelta) -> None:
    with pytest.raises(UsageError, match="whole minutes"):
        Scripted().client().upload(JPEG, retain=retain)


def test_what_is_new_in_an_answer_is_kept_and_what_is_missing_is_told() -> None:
    found = Scripted(made(shape="round")).client().upload(JPEG)
    assert found.raw["shape"] == "round"
    half = image()
    del half["state"]
    with pytest.raises(NotMayflyError, match="another version"):
        Scripted(httpx.Response(201, json=half)).client().upload(JPEG)


def test_nothing_personal_is_in_an_images_repr() -> None:
    found = Scripted(
        made(
            file_name="anna.jpg",
            sha256="ab12",
            uploader="anna",
            labels={"customer": "anna"},
            personal_facts={"t": {"who": "anna"}},
        )
    )
    assert "anna" not in repr(found.client().upload(JPEG))
    assert "ab12" not in repr(found)
