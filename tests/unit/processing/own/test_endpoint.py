"""An HTTP step: what it answers is taken, and whatever it does wrong costs one attempt, soon, and bounded."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from mayfly.model.errors import AttemptFailed, Misconfigured, Rejected
from mayfly.processing.limits import Limits
from mayfly.processing.own.answer import at_fault
from mayfly.processing.own.call import OwnSteps
from mayfly.processing.own.step import HttpStep

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x04\0\0\0\x03\x08\x02\0\0\0" + bytes(60)
HUGE_PNG = PNG[:16] + b"\0\x01\0\0\0\x01\0\0" + PNG[24:]
Talk = Callable[[socket.socket], None]
SOON = 5.0


def answer(body: bytes = PNG, status: str = "200 OK", headers: str = "Content-Type: image/png\r\n") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Sidecar:
    """Listens on loopback, reads whole requests, and answers them as the test says."""

    def __init__(self, talk: Talk) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = threading.Event()
        self._talk = talk
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/step?of=mine"

    def close(self) -> None:
        self.ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._converse, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while request := _request(connection):
                self.requests.append(request)
                self._talk(connection)


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))[15:])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


Start = Callable[[Talk], Sidecar]


@pytest.fixture
def start() -> Iterator[Start]:
    with contextlib.ExitStack() as running:

        def begin(talk: Talk) -> Sidecar:
            sidecar = Sidecar(talk)
            running.callback(sidecar.close)
            return sidecar

        yield begin


@pytest.fixture
def steps() -> Iterator[OwnSteps]:
    with OwnSteps(environ={"STEP_SECRET": "hush"}) as own:
        yield own


def says(data: bytes) -> Talk:
    return lambda connection: connection.sendall(data)


def test_an_image_is_posted_with_its_type_and_the_parameters(start: Start, steps: OwnSteps, bounds: Limits) -> None:
    sidecar = start(says(answer()))
    step = HttpStep(sidecar.url, secret="env:STEP_SECRET", parameters=(("mode", "soft"), ("strength", 3)))
    found = steps.call(step, memoryview(b"the image"), "image/jpeg", bounds)
    assert (bytes(found.data), found.media_type, found.facts) == (PNG, "image/png", None)
    head, _, body = sidecar.requests[0].partition(b"\r\n\r\n")
    assert body == b"the image"
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /step?of=mine HTTP/1.1"
    assert "Content-Type: image/jpeg" in lines
    assert "Authorization: Bearer hush" in lines
    assert 'Mayfly-Parameters: {"mode": "soft", "strength": 3}' in lines


def test_the_type_is_told_from_the_bytes_whatever_the_endpoint_says(
    start: Start, steps: OwnSteps, bounds: Limits
) -> None:
    sidecar = start(says(answer(b"\xff\xd8\xff\xe0" + bytes(60), headers="Content-Type: text/html\r\n")))
    assert steps.call(HttpStep(sidecar.url), PNG, "image/png", bounds).media_type == "image/jpeg"


def test_the_connection_is_kept_for_the_next_image(start: Start, steps: OwnSteps, bounds: Limits) -> None:
    sidecar = start(says(answer()))
    for _ in range(3):
        steps.call(HttpStep(sidecar.url), PNG, "image/png", bounds)
    assert (len(sidecar.requests), sidecar.connections) == (3, 1)


def test_a_kept_connection_that_was_closed_meanwhile_is_made_anew(
    start: Start, steps: OwnSteps, bounds: Limits
) -> None:
    def once(connection: socket.socket) -> None:
        connection.sendall(answer())
        connection.shutdown(socket.SHUT_RDWR)

    sidecar = start(once)
    for _ in range(3):
        steps.call(HttpStep(sidecar.url), PNG, "image/png", bounds)
    assert sidecar.connections == 3


def test_chunked_answers_are_read(start: Start, steps: OwnSteps, bounds: Limits) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (PNG[:20], PNG[20:]))
    sidecar = start(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"))
    assert steps.call(HttpStep(sidecar.url), PNG, "image/png", bounds).data == PNG


def test_facts_come_in_a_header_and_are_read_unless_none_are_wanted(
    start: Start, steps: OwnSteps, bounds: Limits
) -> None:
    sidecar = start(says(answer(headers='Mayfly-Facts: {"faces": 2}\r\n')))
    assert steps.call(HttpStep(sidecar.url), PNG, "image/png", bounds).facts == {"faces": 2}
    assert steps.call(HttpStep(sidecar.url, facts="none"), PNG, "image/png", bounds).facts is None


@pytest.mark.parametrize(
    "facts", ["{", "[1]", "3", "null", '{"a": NaN}', '{"a": "' + "x" * 8192 + '"}', '{"a": ' + "[" * 4000]
)
def test_facts_that_are_no_small_json_object_fail_the_attempt(
    start: Start, steps: OwnSteps, bounds: Limits, facts: str
) -> None:
    sidecar = start(says(answer(headers=f"Mayfly-Facts: {facts}\r\n")))
    with pytest.raises(AttemptFailed, match=r"^step-facts-invalid$"):
        steps.call(HttpStep(sidecar.url), PNG, "image/png", bounds)
    assert steps.call(HttpStep(sidecar.url, facts="none"), PNG, "image/png", bounds).data == PNG


def test_422_rejects_the_image(start: Start, steps: OwnSteps, bounds: Limits) -> None:
    sidecar = start(says(answer(b"", "422 Unprocessable Content")))
    with pytest.raises(Rejected, match=r"^step-rejected$"):
        steps.call(HttpStep(sidecar.url), PNG, "image/png", bounds)


@pytest.mark.parametrize(
    ("said", "slug"),
    [
        (answer(b"", "500 Internal Server Error"), "step-failed"),
        (answer(PNG, "201 Created"), "step-failed"),
        (answer(b"", "204 No Content"), "step-failed"),
        (answer(b"", "307 Temporary Redirect", "Location: http://127.0.0.1:1/\r\n"), "step-failed"),
        (answer(b"", "302 Found", "Location: /elsewhere\r\n"), "step-failed"),
        (b"SSH-2.0-OpenSSH_9.6\r\n" * 9, "step-failed"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", "step-failed"),
        (b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000 + b"\r\n\r\n", "step-failed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "step-unreachable"),
        (answer(b"<html>sorry</html>"), "step-output-unknown"),
        (answer(b""), "step-output-unknown"),
        (answer(HUGE_PNG), "step-output-too-many-pixels"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "step-output-too-large"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + PNG + bytes(3_000_000), "step-output-too-large"),
    ],
)
def test_a_wrong_answer_fails_the_attempt(
    start: Start, steps: OwnSteps, bounds: Limits, said: bytes, slug: str
) -> None:
    def last_words(connection: socket.socket) -> None:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)

    sidecar = start(last_words)
    with pytest.raises(AttemptFailed, match=f"^{slug}$"):
        steps.call(HttpStep(sidecar.url), PNG, "image/png", bounds)
    assert len(sidecar.requests) == 1


@pytest.mark.parametrize("told", [b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + PNG, b"HTTP/1.1 2", b""])
def test_an_endpoint_that_goes_away_while_it_answers_is_unreachable(
    start: Start, steps: OwnSteps, bounds: Limits, told: bytes
) -> None:
    def leave(connection: socket.socket) -> None:
        connection.sendall(told)
        connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(AttemptFailed, match=r"^step-(unreachable|failed)$"):
        steps.call(HttpStep(start(leave).url), PNG, "image/png", bounds)


def test_an_endpoint_that_is_gone_is_unreachable(start: Start, steps: OwnSteps, bounds: Limits) -> None:
    sidecar = start(says(answer()))
    url = sidecar.url
    sidecar.close()
    with pytest.raises(AttemptFailed, match=r"^step-unreachable$"):
        steps.call(HttpStep(url), PNG, "image/png", bounds)
    with pytest.raises(AttemptFailed, match=r"^step-unreachable$"):
        steps.call(HttpStep("http://no-such-host.invalid/"), PNG, "image/png", bounds)


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_an_endpoint_that_dribbles_is_cut_off_by_one_deadline(
    start: Start, steps: OwnSteps, bounds: Limits, begun: bytes
) -> None:
    def dribble(connection: socket.socket) -> None:
        connection.sendall(begun)
        while not sidecar.ended.wait(0.02):
            connection.sendall(b"x")

    sidecar = start(dribble)
    begin = time.monotonic()
    with pytest.raises(AttemptFailed, match=r"^step-overdue$"):
        steps.call(HttpStep(sidecar.url, timeout=0.3), PNG, "image/png", bounds)
    assert time.monotonic() - begin < SOON


def test_an_answer_counts_that_comes_before_all_of_the_image_was_read(steps: OwnSteps, bounds: Limits) -> None:
    def refuse(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(10)
            connection.sendall(answer(b"", "422 Unprocessable"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        sidecar = threading.Thread(target=refuse, args=(listener,))
        sidecar.start()
        step = HttpStep(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=SOON)
        with pytest.raises(Rejected, match=r"^step-rejected$"):
            steps.call(step, PNG + bytes(16 * 1024 * 1024), "image/png", bounds)
        sidecar.join()


def test_an_endpoint_that_does_not_read_is_cut_off(steps: OwnSteps, bounds: Limits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        step = HttpStep(f"http://127.0.0.1:{deaf.getsockname()[1]}/", timeout=0.3)
        with pytest.raises(AttemptFailed, match=r"^step-overdue$"):
            steps.call(step, bytes(64_000_000), "image/png", bounds)


def test_the_next_image_is_served_after_any_failure(start: Start, steps: OwnSteps, bounds: Limits) -> None:
    replies = [answer(b"", "500 No"), b"junk\r\n\r\n", answer(b"text"), answer()]
    sidecar = start(lambda connection: connection.sendall(replies.pop(0)))
    for _ in range(3):
        with pytest.raises(AttemptFailed):
            steps.call(HttpStep(sidecar.url), PNG, "image/png", bounds)
    assert steps.call(HttpStep(sidecar.url), PNG, "image/png", bounds).data == PNG


def test_a_secret_that_is_not_set_is_told_before_the_first_image(steps: OwnSteps, bounds: Limits) -> None:
    step = HttpStep("http://127.0.0.1:1/", secret="env:NOT_SET")
    with pytest.raises(Misconfigured, match="env:NOT_SET is not set"):
        steps.check([step])
    with pytest.raises(AttemptFailed, match=r"^step-secret-missing$"):
        steps.call(step, PNG, "image/png", bounds)
    steps.check([replace(step, secret="env:STEP_SECRET")])


def test_parameters_that_look_alike_stay_apart(start: Start, steps: OwnSteps, bounds: Limits) -> None:
    sidecar = start(says(answer()))
    for value in (1, True, 1.0):
        steps.call(HttpStep(sidecar.url, parameters=(("a", value),)), PNG, "image/png", bounds)
    told = [request.partition(b"Mayfly-Parameters: ")[2].partition(b"\r\n")[0] for request in sidecar.requests]
    assert [json.loads(one) for one in told] == [{"a": 1}, {"a": True}, {"a": 1.0}]
    assert len(set(told)) == 3


def test_what_would_reject_an_upload_is_the_steps_fault() -> None:
    assert str(at_fault(Rejected("truncated"))) == "step-output-truncated"
