"""A webhook's sender: signed as the specification has it, to no address but one that was looked at, in bounded time."""

import socket
import time
from collections.abc import Iterator

import pytest

from mayfly.adapters.webhook import event_sink
from mayfly.adapters.webhook.event_sink import WebhookEventSink
from mayfly.adapters.webhook.network import is_public
from mayfly.adapters.webhook.signature import parse_secret, signed
from mayfly.model.errors import Misconfigured, Postponed, Refused, Unavailable
from mayfly.model.event import Event
from mayfly.model.identity import ImageId
from mayfly.model.image import Source
from mayfly.model.instant import MINUTE, Ms, rfc3339
from mayfly.model.lifecycle import State
from mayfly.model.retention import Retention
from support.receiver import KEY, SECRET, Receiver
from support.server import until

START = Ms(29_833_334 * MINUTE)
EVENT = Event(
    7, ImageId.new(START, Retention(60)), State.PROCESSED, None, Ms(START + 1_500), Source.HTTP, ("thumb", "large")
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver().up()
    yield receiver
    receiver.down()


@pytest.fixture
def sink(receiver: Receiver) -> Iterator[WebhookEventSink]:
    sink = WebhookEventSink(receiver.url, KEY, "urn:uuid:0", allow_private=True)
    yield sink
    sink.close()


def test_the_published_vector_comes_out() -> None:
    """From the test suite of the specification's own libraries."""
    key = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%"])
def test_what_is_no_secret_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse_secret(text)
    assert "openssl rand" in str(caught.value)
    assert text == "" or text not in str(caught.value).replace("must be whsec_ and", "").replace("echo whsec_$(", "")


def test_a_secret_may_end_with_a_line() -> None:
    assert parse_secret(SECRET + "\n") == KEY


def test_a_delivery_is_a_signed_cloud_event(sink: WebhookEventSink, receiver: Receiver) -> None:
    sink.deliver(EVENT)
    (taken,) = receiver.taken
    assert taken.is_genuine()
    assert taken.headers["content-type"] == "application/cloudevents+json"
    image = f"/v1/images/{EVENT.image_id}"
    assert taken.event == {
        "specversion": "1.0",
        "id": f"{EVENT.image_id}-processed-7",
        "source": "urn:uuid:0",
        "type": "mayfly.image.processed",
        "subject": str(EVENT.image_id),
        "time": rfc3339(EVENT.at),
        "datacontenttype": "application/json",
        "data": {
            "id": str(EVENT.image_id),
            "state": "processed",
            "reason": None,
            "hrefs": {
                "image": image,
                "original": f"{image}/original",
                "renditions": {name: f"{image}/renditions/{name}" for name in ("thumb", "large")},
            },
            "expires_at": rfc3339(EVENT.image_id.expires_at),
        },
    }
    assert taken.key == taken.event["id"]


def test_a_repetition_has_a_timestamp_of_its_own(
    sink: WebhookEventSink, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.deliver(EVENT)
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.9)
    sink.deliver(EVENT)
    first, second = receiver.taken
    assert (first.key, first.body) == (second.key, second.body)
    assert second.headers["webhook-timestamp"] == "1700000000"
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 301, 307, 401, 403, 404, 405, 407, 421])
def test_not_now_and_no_redirect_is_followed(sink: WebhookEventSink, receiver: Receiver, status: int) -> None:
    receiver.status = status
    receiver.headers = {"Location": receiver.url}
    with pytest.raises(Unavailable, match=str(status)):
        sink.deliver(EVENT)
    assert len(receiver.refused) == 1


@pytest.mark.parametrize("status", [400, 410, 413, 415, 422])
def test_never(sink: WebhookEventSink, receiver: Receiver, status: int) -> None:
    receiver.status = status
    with pytest.raises(Refused, match=str(status)):
        sink.deliver(EVENT)
    assert len(receiver.refused) == 1


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("120", 120, 120),
        ("0", 0, 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9, 1e12),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0, 0),
    ],
)
def test_retry_after_is_read(sink: WebhookEventSink, receiver: Receiver, text: str, least: float, most: float) -> None:
    receiver.status, receiver.headers = 503, {"Retry-After": text}
    with pytest.raises(Postponed) as caught:
        sink.deliver(EVENT)
    assert least <= caught.value.seconds <= most


@pytest.mark.parametrize("text", ["soon", "-5", "1" * 30, "٣"])
def test_a_retry_after_that_says_nothing_is_none(sink: WebhookEventSink, receiver: Receiver, text: str) -> None:
    receiver.status, receiver.headers = 503, {"Retry-After": text.encode().decode("latin-1")}
    with pytest.raises(Unavailable) as caught:
        sink.deliver(EVENT)
    assert not isinstance(caught.value, Postponed)


def test_an_answer_without_end_is_not_read_to_it(sink: WebhookEventSink, receiver: Receiver) -> None:
    receiver.body, receiver.status = bytes(64 * 1024 * 1024), 200
    began = time.monotonic()
    sink.deliver(EVENT)
    assert time.monotonic() - began < 5
    until(lambda: receiver.cut, "the answer to be cut")
    receiver.body = b""
    sink.deliver(EVENT)


def test_an_answer_that_drips_is_cut(
    sink: WebhookEventSink, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_sink, "_WHOLE_SECONDS", 0.3)
    receiver.body, receiver.drip, receiver.status = bytes(1_000), 0.05, 200
    began = time.monotonic()
    with pytest.raises(Unavailable, match="not reached"):
        sink.deliver(EVENT)
    assert time.monotonic() - began < 3


def test_a_connection_is_used_again(sink: WebhookEventSink, receiver: Receiver) -> None:
    for _ in range(3):
        sink.deliver(EVENT)
    assert len(sink._pool.connections) == 1


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
        *("::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
        *("64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1"),
        *("fec0::1", "64:ff9b:1::a00:1", "::127.0.0.1", "::ffff:0:127.0.0.1", "5f00::1"),
    ],
)
def test_an_address_of_nobody_s_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_an_address_of_everybody_s_is(address: str) -> None:
    assert is_public(address)


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Names resolve to these, one answer after another; gives the names that were asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        addresses = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_that_resolves_to_a_private_address_is_not_connected_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for addresses in (["127.0.0.1"], ["8.8.8.8", "127.0.0.1"]):
        resolving(monkeypatch, addresses)
        sink = WebhookEventSink(f"https://example.org:{receiver.port}/", KEY, "urn:uuid:0")
        with pytest.raises(Unavailable, match="not public; allow_private"):
            sink.deliver(EVENT)
        sink.close()


def test_plain_http_goes_to_no_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["8.8.8.8"])
    sink = WebhookEventSink("http://example.org/", KEY, "urn:uuid:0", allow_private=True)
    with pytest.raises(Unavailable, match="https alone"):
        sink.deliver(EVENT)


def test_the_address_that_was_looked_at_is_the_one_connected_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that changes its mind between the look and the connection gains nothing: it is asked once."""
    connected: list[object] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address[0])
        made = socket.socket()
        made.settimeout(5)
        made.connect((address[0], receiver.port))
        return made

    asked = resolving(monkeypatch, ["127.0.0.1"], ["8.8.8.8"])
    monkeypatch.setattr(socket, "create_connection", connect)
    sink = WebhookEventSink(f"http://rebinding.example:{receiver.port}/", KEY, "urn:uuid:0", allow_private=True)
    sink.deliver(EVENT)
    assert asked == ["rebinding.example"]
    assert connected == ["127.0.0.1"]
    assert receiver.taken[0].headers["host"] == f"rebinding.example:{receiver.port}"
    sink.close()


def test_a_receiver_that_is_not_there_is_unavailable(receiver: Receiver) -> None:
    receiver.down()
    sink = WebhookEventSink(receiver.url, KEY, "urn:uuid:0", allow_private=True)
    with pytest.raises(Unavailable) as caught:
        sink.deliver(EVENT)
    assert "who=me" not in str(caught.value), "an address may carry a secret"


def test_a_receiver_that_speaks_no_tls_is_unavailable(receiver: Receiver) -> None:
    sink = WebhookEventSink(receiver.url.replace("http:", "https:"), KEY, "urn:uuid:0", allow_private=True)
    with pytest.raises(Unavailable):
        sink.deliver(EVENT)
