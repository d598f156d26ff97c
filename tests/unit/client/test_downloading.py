"""Bytes come whole or not at all, and go on where they were cut."""

import hashlib
import io
from pathlib import Path
from typing import Any

import httpx
import pytest

from mayfly.client import CutError, DamagedError, GoneError, NotFoundError, NotMayflyError
from unit.client.conftest import IDENTITY, CutStream, Scripted, Step, image, problem

BYTES = bytes(range(256)) * 4
SHA256 = hashlib.sha256(BYTES).hexdigest()


def record(**changes: Any) -> httpx.Response:
    return httpx.Response(200, json=image(sha256=SHA256, bytes=len(BYTES), **changes))


def whole(data: bytes = BYTES) -> httpx.Response:
    return httpx.Response(200, content=data)


def cut_after(size: int) -> httpx.Response:
    return httpx.Response(200, stream=CutStream(BYTES[:size]), headers={"Content-Length": str(len(BYTES))})


def asked_range(request: httpx.Request) -> httpx.Response:
    first, last = request.headers["range"].removeprefix("bytes=").split("-")
    data = BYTES[int(first) : int(last) + 1 if last else None]
    placed = f"bytes {first}-{int(first) + len(data) - 1}/{len(BYTES)}"
    return httpx.Response(206, content=data, headers={"Content-Range": placed})


def test_an_original_is_returned_or_written_whole(tmp_path: Path) -> None:
    client = Scripted(*[record(), whole()] * 3).client()
    assert client.download(IDENTITY) == BYTES
    assert client.download(IDENTITY, tmp_path / "a.jpg") == len(BYTES)
    file = io.BytesIO()
    assert client.download(IDENTITY, file) == len(BYTES)
    assert (tmp_path / "a.jpg").read_bytes() == file.getvalue() == BYTES
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


@pytest.mark.parametrize("to_file", [True, False])
def test_an_original_goes_on_where_it_was_cut(to_file: bool, tmp_path: Path) -> None:
    def cut_again(request: httpx.Request) -> httpx.Response:
        placed = asked_range(request).headers["content-range"]
        return httpx.Response(206, stream=CutStream(BYTES[100:300]), headers={"Content-Range": placed})

    server = Scripted(record(), cut_after(100), cut_again, asked_range)
    target: Any = tmp_path / "a.jpg" if to_file else io.BytesIO()
    assert server.client().download(IDENTITY, target) == len(BYTES)
    assert (target.read_bytes() if to_file else target.getvalue()) == BYTES
    assert server.said("range") == [None, None, "bytes=100-", "bytes=300-"]


def test_as_long_as_more_comes_it_goes_on() -> None:
    def cut(request: httpx.Request) -> httpx.Response:
        first = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        placed = {"Content-Range": f"bytes {first}-{len(BYTES) - 1}/{len(BYTES)}"}
        return httpx.Response(206, stream=CutStream(BYTES[first : first + 100]), headers=placed)

    nothing = httpx.ReadError("cut")
    flaky: list[Step] = [cut, nothing] * 10
    assert Scripted(record(), *flaky, cut).client(retries=2).download(IDENTITY) == BYTES
    with pytest.raises(CutError):
        Scripted(record(), cut, *[nothing] * 3).client(retries=2).download(IDENTITY)


def test_who_ignores_a_range_is_understood() -> None:
    assert Scripted(record(), cut_after(100), whole()).client().download(IDENTITY) == BYTES


def test_a_server_that_answers_in_pieces_is_asked_for_pieces() -> None:
    server = Scripted(record(), asked_range, asked_range, asked_range, response_bytes=400)
    assert server.client().download(IDENTITY) == BYTES
    assert server.said("range")[1:] == ["bytes=0-399", "bytes=400-799", "bytes=800-1199"]


def test_a_rendition_begins_anew_and_needs_no_record(tmp_path: Path) -> None:
    other = b"made anew, and of another length"
    target = tmp_path / "thumb.webp"
    server = Scripted(cut_after(500), whole(other), cut_after(500), whole(other))
    client = server.client()
    assert client.download(IDENTITY, target, rendition="a b") == len(other)
    assert target.read_bytes() == other
    held = io.BytesIO()
    client.download(IDENTITY, held, rendition="a b")
    assert held.getvalue() == other
    assert [request.url.raw_path for request in server.requests] == [
        f"/v1/images/{IDENTITY}/renditions/a%20b".encode()
    ] * 4
    assert server.said("range") == [None] * 4


def test_other_bytes_than_were_uploaded_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    target.write_bytes(b"before")
    with pytest.raises(DamagedError, match="SHA-256"):
        Scripted(record(), whole(BYTES[::-1])).client().download(IDENTITY, target)
    with pytest.raises(DamagedError, match="not the one"):
        Scripted(record(), cut_after(100), whole(BYTES + b"more")).client().download(IDENTITY, target)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ([problem(404, "not-found")], NotFoundError),
        ([record(), cut_after(10), problem(410, "gone")], GoneError),
        ([record(), cut_after(10), *[httpx.ReadError("cut")] * 2], CutError),
        ([record(), httpx.Response(200, stream=CutStream(BYTES))], NotMayflyError),
    ],
    ids=["unknown", "died meanwhile", "cut for good", "of no length"],
)
def test_a_download_that_fails_leaves_what_was_there(
    script: list[Step], error: type[Exception], tmp_path: Path
) -> None:
    target = tmp_path / "a.jpg"
    target.write_bytes(b"before")
    with pytest.raises(error):
        Scripted(*script).client(retries=2).download(IDENTITY, target)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        Scripted().client().download(IDENTITY, tmp_path / "nowhere" / "a.jpg")
    assert raised.value.filename == str(tmp_path / "nowhere" / "a.jpg")
