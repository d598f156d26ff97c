"""Addresses, credentials, and what a server answers, in the client's words."""

import pickle
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

import mayfly
from mayfly import Client
from mayfly.client import (
    CutError,
    DeniedError,
    GoneError,
    MayflyClientError,
    NotMayflyError,
    NotYetError,
    ProblemError,
    UnreachableError,
    UntrustedError,
    UsageError,
    door,
)
from unit.client.conftest import IDENTITY, Scripted, image, made, problem


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://localhost", "http://[::1", "http://h:eighty", "", "http://"])
def test_a_url_that_is_none_is_told_with_one_that_is(url: str) -> None:
    with pytest.raises(UsageError, match=r"http://127\.0\.0\.1:8080"):
        Client(url)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="give a token") as raised:
        Client("https://anna:geheim@mayfly.example")
    assert "geheim" not in str(raised.value)


def test_a_token_goes_as_a_bearer_and_is_shown_nowhere() -> None:
    server = Scripted(made(), problem(401, "denied"))
    client = server.client(token=" word\n")
    client.image(IDENTITY)
    assert server.said("authorization") == ["Bearer word"]
    with pytest.raises(DeniedError) as raised:
        client.image(IDENTITY)
    assert "word" not in repr(client) + str(raised.value) + repr(raised.value)
    assert "authorization" not in Scripted(made()).client()._server.door._server.headers


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.8.8.8", "http://[::1]:80", "https://m.example"])
def test_a_token_is_sent_to_this_machine_and_over_tls(url: str) -> None:
    Client(url, token="word").close()


@pytest.mark.parametrize("url", ["http://m.example", "http://10.0.0.1", "http://localhost.example"])
def test_a_token_is_not_sent_in_clear_over_a_network(url: str) -> None:
    with pytest.raises(UsageError, match="in clear"):
        Client(url, token="word")


@pytest.mark.parametrize("token", ["", " ", "two words", "line\r\nX: y", "grün"])
def test_a_token_is_one_word(token: str) -> None:
    with pytest.raises(UsageError, match="one printable word") as raised:
        Client("https://m.example", token=token)
    assert not token.strip() or token not in str(raised.value)


def test_proxies_of_the_environment_are_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    def proxies(url: str) -> int:
        with Client(url) as client:
            return len([transport for transport in client._server.door._server._mounts.values() if transport])

    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert proxies("https://localhost:8443") == 0
    assert proxies("https://m.example") == 1


def test_a_ca_file_is_read_and_what_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Client("https://m.example", ca=tmp_path / "missing.pem")
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("words")
    with pytest.raises(UsageError, match=r"wrong\.pem holds no PEM"):
        Client("https://m.example", ca=wrong)


def test_a_certificate_of_a_stranger_is_told_and_not_tried_again(pauses: list[float]) -> None:
    fault = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    client = Scripted(made(), fault).client()
    client.image(IDENTITY)
    with pytest.raises(UntrustedError, match="name the file of its CA"):
        client.image(IDENTITY)
    assert pauses == []


def test_over_plain_http_no_authority_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: pytest.fail("reading them takes longer"))
    Client().close()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="hello"),
        httpx.Response(200, json=["hello"]),
        httpx.Response(200, json={"hello": 1}),
        httpx.Response(200, json=image(received_at="yesterday")),
        httpx.Response(200, json=image(received_at="2026-11-23T03:25:50")),
        httpx.Response(301, headers={"Location": "https://elsewhere.example"}),
        httpx.Response(404, text="no such page"),
        httpx.Response(404, json={"title": "no problem document"}),
        httpx.Response(404, text="{", headers={"Content-Type": "application/problem+json"}),
        httpx.Response(404, content=b" " * 70_000, headers={"Content-Type": "application/problem+json"}),
    ],
)
def test_what_is_no_mayfly_server_is_told(answer: httpx.Response) -> None:
    with pytest.raises(NotMayflyError, match="no Mayfly server"):
        Scripted(answer).client().image(IDENTITY)


def test_a_problem_has_its_parts() -> None:
    with pytest.raises(GoneError) as raised:
        Scripted(problem(410, "gone", "it was erased")).client().image(IDENTITY)
    fault = raised.value
    assert (fault.status, fault.slug, fault.title, fault.detail) == (410, "gone", "Title of gone", "it was erased")
    assert str(fault) == "Title of gone (410): it was erased"
    assert isinstance(fault, ProblemError | MayflyClientError)


@pytest.mark.parametrize(("header", "seconds"), [(None, None), ("7", 7), ("soon", None), ("-1", None)])
def test_retry_after_is_seconds(header: str | None, seconds: float | None) -> None:
    assert door.retry_after(header) == seconds


def test_or_a_date() -> None:
    at = datetime.now(UTC) + timedelta(seconds=60)
    assert 50 < (door.retry_after(format_datetime(at, usegmt=True)) or 0) <= 60
    assert door.retry_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0


def test_erasing_again_after_a_lost_answer_is_a_success_but_not_the_first_time() -> None:
    gone = problem(410, "gone")
    server = Scripted(made(), httpx.ReadError("lost"), gone)
    client = server.client()
    client.erase(client.image(IDENTITY))
    assert [request.method for request in server.requests] == ["GET", "DELETE", "DELETE"]
    with pytest.raises(GoneError):
        Scripted(gone).client().erase(IDENTITY)


def test_a_retry_whose_answer_was_lost_is_not_repeated() -> None:
    client = Scripted(made(), httpx.ReadError("lost")).client()
    client.image(IDENTITY)
    with pytest.raises(CutError):
        client.retry(IDENTITY)
    assert Scripted(problem(503, "busy"), made(state="received")).client().retry(IDENTITY).state == "received"


def test_images_are_listed_page_by_page_as_they_are_asked_for() -> None:
    def page(*ids: str, cursor: str | None) -> httpx.Response:
        return httpx.Response(200, json={"items": [image(id=identity) for identity in ids], "next_cursor": cursor})

    server = Scripted(page("a", "b", cursor="c1"), page("c", cursor=None))
    born = datetime(2026, 11, 23, tzinfo=UTC)
    found = server.client().images(state="processed", received_from=born, page_size=2)
    assert [next(found).id, next(found).id] == ["a", "b"]
    assert len(server.requests) == 1
    assert [image.id for image in found] == ["c"]
    asked = {"state": "processed", "received_from": "2026-11-23T00:00:00+00:00", "limit": "2"}
    assert [dict(request.url.params) for request in server.requests] == [asked, {**asked, "cursor": "c1"}]
    with pytest.raises(UsageError, match="without an offset"):
        next(Scripted().client().images(received_to=datetime(2026, 11, 23)))  # noqa: DTZ001 - the point


def test_waiting_looks_less_and_less_often_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    server = Scripted(*[made(state="received")] * 12, made(state="failed", reason="worker-died"))
    found = server.client().wait(IDENTITY)
    assert (found.state, found.settled) == ("failed", True)
    assert slept == sorted(slept)
    assert (slept[0], slept[-1]) == (0.05, 2.0)
    settled = server.client().wait(found)
    assert settled is found, "nothing is asked where nothing has to be"
    assert Scripted(made(state="received")).client().wait(IDENTITY, states={"received"}).state == "received"
    with pytest.raises(NotYetError, match="is received after 0 s") as raised:
        Scripted(made(state="received")).client().wait(IDENTITY, timeout=0)
    assert isinstance(raised.value, TimeoutError)


def test_nobody_there_and_too_slow_are_the_same_to_a_caller() -> None:
    for fault in (httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.ReadTimeout("slow")):
        with pytest.raises(UnreachableError):
            Scripted(fault).client().image(IDENTITY)


def test_the_package_gives_its_client_on_demand_and_nothing_else() -> None:
    assert mayfly.Client is Client
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        mayfly.Klient  # noqa: B018


def test_retries_are_none_or_more() -> None:
    with pytest.raises(UsageError, match="0 or more"):
        Client(retries=-1)


def test_errors_tell_the_same_after_a_trip_through_another_process() -> None:
    lost = pickle.loads(pickle.dumps(UnreachableError("nobody", sent=True)))
    assert (str(lost), lost.sent) == ("nobody", True)
    gone = pickle.loads(pickle.dumps(GoneError(410, {"title": "Gone", "detail": "it was erased"}, 3.0)))
    assert (str(gone), gone.retry_after) == ("Gone (410): it was erased", 3.0)
