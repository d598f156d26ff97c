"""By which names a server answers, and what its absolute addresses begin with."""

import pytest
from fastapi import FastAPI, Request
from starlette.datastructures import Headers

from mayfly.entrypoints.http.access import Guard, refuse_strangers
from mayfly.entrypoints.http.origin import Reach, origin_of, same_origin
from mayfly.model.errors import Denied
from support.asgi import ask

LOCAL = Reach()
NAMES = frozenset({"photos.example.org"})
TLS = Reach(loopback=False, tls=True, names=NAMES)
PROXIED = Reach(behind_proxy=True, names=NAMES)


def headers(**given: str) -> Headers:
    return Headers({name.replace("_", "-"): value for name, value in given.items()})


@pytest.mark.parametrize(
    ("reach", "is_open"),
    [
        *((LOCAL, True), (Reach(tls=True), True), (PROXIED, False), (TLS, False), (Reach(loopback=False), False)),
        (Reach(names=NAMES), False),
    ],
)
def test_only_loopback_without_a_proxy_or_a_name_elsewhere_is_open(reach: Reach, is_open: bool) -> None:
    assert reach.open == is_open


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]"])
def test_loopback_names_always_pass(host: str) -> None:
    for reach in (LOCAL, TLS, PROXIED):
        assert reach.answers_to(host)


@pytest.mark.parametrize("host", ["photos.example.org", "PHOTOS.example.org:8443", "192.0.2.7", "[2001:db8::1]:443"])
def test_elsewhere_the_names_given_and_addresses_pass(host: str) -> None:
    assert TLS.answers_to(host)
    assert PROXIED.answers_to(host)


@pytest.mark.parametrize("host", ["example.org", "x.photos.example.org", "photos.example.org.evil.example", "", "a@b"])
def test_other_names_do_not(host: str) -> None:
    for reach in (LOCAL, TLS, PROXIED):
        assert not reach.answers_to(host)


def test_an_open_server_takes_no_address_but_loopback() -> None:
    assert not LOCAL.answers_to("192.0.2.7")


@pytest.mark.parametrize(
    ("reach", "said", "scheme"),
    [
        (LOCAL, None, "http"),
        (LOCAL, "https", "http"),
        (TLS, None, "https"),
        (TLS, "http", "https"),
        (PROXIED, None, "http"),
        (PROXIED, "https", "https"),
        (PROXIED, "http, HTTPS", "https"),
        (PROXIED, "https, http", "http"),
        (PROXIED, "javascript", "http"),
    ],
)
def test_the_scheme_is_believed_from_a_proxy_alone(reach: Reach, said: str | None, scheme: str) -> None:
    assert reach.scheme(headers(x_forwarded_proto=said) if said else headers()) == scheme


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a", "https://A:443", True),
        ("http://a", "http://a:80", True),
        ("http://a", "https://a", False),
        ("https://a:8443", "https://a", False),
        ("null", "null", False),
        ("https://a/", "https://a", False),
        ("https://u@a", "https://a", False),
        ("http://[::1", "http://[::1]", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert same_origin(one, other) == same


def test_an_origin_of_another_scheme_is_another_site() -> None:
    with pytest.raises(Denied):
        refuse_strangers(headers(host="photos.example.org", origin="http://photos.example.org"), TLS)
    refuse_strangers(headers(host="photos.example.org", origin="https://photos.example.org"), TLS)
    with pytest.raises(Denied, match="X-Forwarded-Proto"):
        refuse_strangers(headers(host="photos.example.org", origin="https://photos.example.org"), PROXIED)


@pytest.mark.parametrize(
    ("reach", "origin"),
    [(LOCAL, "http://localhost:8080"), (TLS, "https://localhost:8080"), (PROXIED, "https://localhost:8080")],
)
def test_absolute_addresses_begin_as_the_caller_sees_them(reach: Reach, origin: str) -> None:
    app = FastAPI()
    app.state.reach = reach
    app.add_middleware(Guard, reach=reach)

    @app.get("/")
    def begin(request: Request) -> str:
        return origin_of(request)

    said = {} if reach.open else {"X-Forwarded-Proto": "https"}
    assert ask(app, "GET", "/", headers={"Host": "localhost:8080", **said}).json() == origin


@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via"]
)
def test_an_open_server_takes_nothing_that_a_proxy_passed_on(name: str) -> None:
    passed_on = Headers({"host": "localhost", name.lower(): "198.51.100.7"})
    with pytest.raises(Denied, match="behind_proxy"):
        refuse_strangers(passed_on, LOCAL)
    refuse_strangers(passed_on, PROXIED)
    refuse_strangers(passed_on, TLS)
