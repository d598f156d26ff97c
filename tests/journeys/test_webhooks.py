"""Events out, from a real server to a real receiver that goes away and comes back."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator

import pytest

from support.receiver import SECRET, Receiver
from support.server import MakeServer, Server, until

ABSENCE_SECONDS = float(os.environ.get("MAYFLY_ABSENCE_SECONDS", "0"))
"""How long the receiver is away at least, with images coming all the time. 60 is for whoever wants to see a minute."""

CONFIG = """
[webhooks.ops]
url = "{url}"
secret = "env:OPS_SECRET"
allow_private = true
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver().up()
    yield receiver
    receiver.down()


@pytest.fixture
def telling(make_server: MakeServer, receiver: Receiver) -> Server:
    server = make_server(
        config=CONFIG.format(url=receiver.url), environment={"OPS_SECRET": SECRET}, options=("--workers", "1")
    )
    return server.start()


def seen(receiver: Receiver) -> dict[str, list[str]]:
    """By image, the states that a receiver sees that knows repetitions by their key."""
    found: dict[str, list[str]] = defaultdict(list)
    for event in receiver.once_each():
        found[event["subject"]].append(event["data"]["state"])
    return found


def lived(server: Server, body: bytes) -> str:
    """An image that is processed, then erased."""
    identity: str = server.upload(body)["id"]
    server.until_state(identity, "processed")
    server.request("DELETE", f"/v1/images/{identity}")
    return identity


def test_a_receiver_that_was_away_gets_every_event_once_by_its_key_in_order_for_each_image(
    telling: Server, receiver: Receiver, small: bytes
) -> None:
    images = [lived(telling, small)]
    until(lambda: seen(receiver) == {images[0]: ["processed", "purged"]}, "the first two events")

    receiver.down()
    back_at = time.monotonic() + ABSENCE_SECONDS
    images.append(lived(telling, small))
    until(lambda: "sink_waits" in telling.log.read_text(encoding="utf-8"), "the absence to be told")
    images.append(lived(telling, small))
    # The sender dies meanwhile, as at a power cut, and lives on without its receiver.
    telling.kill()
    telling.start()
    images.append(lived(telling, small))
    while time.monotonic() < back_at:
        images.append(lived(telling, small))
    receiver.up()
    complete = {image: ["processed", "purged"] for image in images}
    until(lambda: seen(receiver) == complete, "every event")

    assert all(taken.is_genuine() for taken in receiver.taken)
    for image in images:
        keys = {taken.key for taken in receiver.taken if taken.event["subject"] == image}
        assert len(keys) == 2
    (origin,) = {taken.event["source"] for taken in receiver.taken}
    assert origin.startswith("urn:uuid:")
    assert telling.stop() == 0
    log = telling.log.read_text(encoding="utf-8")
    assert SECRET not in log
    assert SECRET.removeprefix("whsec_") not in log
    assert "who=me" not in log


def test_a_receiver_that_hangs_holds_up_neither_images_nor_the_stop(
    telling: Server, receiver: Receiver, small: bytes
) -> None:
    receiver.body, receiver.drip, receiver.status = bytes(1_000), 0.5, 200
    images = [lived(telling, small) for _ in range(3)]
    assert len(images) == 3
    assert telling.stop() == 0
    receiver.body, receiver.drip = b"", 0.0
    telling.start()
    until(lambda: seen(receiver) == {image: ["processed", "purged"] for image in images}, "every event")


@pytest.mark.parametrize(("secret", "says"), [(None, "is not set"), ("hunter2", "must be whsec_")])
def test_a_secret_that_cannot_be_had_ends_the_start_and_is_not_shown(
    make_server: MakeServer, secret: str | None, says: str
) -> None:
    server = make_server(
        config=CONFIG.format(url="https://example.org/"), environment={} if secret is None else {"OPS_SECRET": secret}
    )
    with pytest.raises(AssertionError, match="no server") as caught:
        server.start(ready=False)
    assert "webhooks.ops.secret: env:OPS_SECRET" in str(caught.value)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)
