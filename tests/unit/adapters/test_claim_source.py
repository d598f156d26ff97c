"""What a stranger who may write beneath a prefix can plant there."""

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mayfly.adapters.local.claim_source import LocalClaimSource
from mayfly.model.claim import Claim, ClaimPrefix
from mayfly.model.errors import ClaimFault, ClaimMismatch, ClaimRefused, MayflyError, Unavailable

SECRET = b"not for you"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture
def source(prefix: Path) -> LocalClaimSource:
    return LocalClaimSource([ClaimPrefix(prefix)])


def claim(path: Path, body: bytes = SECRET) -> Claim:
    return Claim(path.as_uri(), hashlib.sha256(body).hexdigest(), len(body))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside" / "deep"
    folder.mkdir(parents=True)
    (folder / "photo.jpg").write_bytes(SECRET)
    return folder


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_link_at_any_depth_is_not_followed(source: LocalClaimSource, prefix: Path, outside: Path, depth: int) -> None:
    if depth == 0:
        (prefix / "photo.jpg").symlink_to(outside / "photo.jpg")
        path = prefix / "photo.jpg"
    elif depth == 1:
        (prefix / "deep").symlink_to(outside)
        path = prefix / "deep" / "photo.jpg"
    else:
        (prefix / "sub").mkdir()
        (prefix / "sub" / "up").symlink_to(outside.parent)
        path = prefix / "sub" / "up" / "deep" / "photo.jpg"
    assert path.read_bytes() == SECRET
    with pytest.raises(ClaimRefused):
        source.open(claim(path))


def test_a_link_that_stays_beneath_the_prefix_is_not_followed_either(source: LocalClaimSource, prefix: Path) -> None:
    (prefix / "photo.jpg").write_bytes(SECRET)
    (prefix / "again.jpg").symlink_to("photo.jpg")
    with pytest.raises(ClaimRefused):
        source.open(claim(prefix / "again.jpg"))


def test_the_way_to_a_prefix_is_the_operators_and_may_lead_over_links(tmp_path: Path, prefix: Path) -> None:
    (prefix / "photo.jpg").write_bytes(SECRET)
    (tmp_path / "known-as").symlink_to(prefix)
    known_as = tmp_path / "known-as"
    opened = LocalClaimSource([ClaimPrefix(known_as)]).open(claim(known_as / "photo.jpg"))
    opened.remove()
    opened.close()
    assert not (prefix / "photo.jpg").exists()


def test_a_file_with_a_second_name_is_refused(source: LocalClaimSource, prefix: Path, outside: Path) -> None:
    os.link(outside / "photo.jpg", prefix / "photo.jpg")
    with pytest.raises(ClaimRefused, match="more names"):
        source.open(claim(prefix / "photo.jpg"))


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(path.parent):
        listening.bind(path.name)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, make_socket])
def test_what_is_no_plain_file_is_refused_without_waiting(
    source: LocalClaimSource, prefix: Path, make: Callable[[Path], None]
) -> None:
    make(prefix / "thing")
    size = (prefix / "thing").stat().st_size
    with pytest.raises(ClaimRefused):
        source.open(Claim((prefix / "thing").as_uri(), "00", size))


def test_a_device_is_refused() -> None:
    with pytest.raises(ClaimRefused):
        LocalClaimSource([ClaimPrefix(Path("/dev"))]).open(Claim("file:///dev/null", "00", 0))


def test_a_name_longer_than_a_file_system_takes_is_refused(source: LocalClaimSource, prefix: Path) -> None:
    for path in (prefix / ("a" * 300), prefix / ("a" * 300) / "b"):
        with pytest.raises(ClaimRefused):
            source.open(claim(path))


def test_a_file_in_the_place_of_a_folder_is_refused(source: LocalClaimSource, prefix: Path) -> None:
    (prefix / "photo.jpg").write_bytes(SECRET)
    with pytest.raises(ClaimRefused):
        source.open(claim(prefix / "photo.jpg" / "photo.jpg"))


def test_a_file_larger_than_said_is_told_by_its_size_alone(source: LocalClaimSource, prefix: Path) -> None:
    with (prefix / "huge").open("wb") as huge:
        huge.truncate(1 << 40)
    with pytest.raises(ClaimMismatch):
        source.open(claim(prefix / "huge"))


def test_a_file_that_grows_for_ever_is_left_at_what_was_said(source: LocalClaimSource, prefix: Path) -> None:
    (prefix / "photo.jpg").write_bytes(SECRET)
    opened = source.open(claim(prefix / "photo.jpg"))
    with (prefix / "photo.jpg").open("ab") as growing:
        growing.truncate(1 << 40)
    taken: list[bytes] = []
    with pytest.raises(ClaimMismatch):
        taken.extend(opened.chunks())
    assert sum(map(len, taken)) <= len(SECRET)
    opened.close()


def test_a_folder_that_is_swapped_for_a_link_all_the_time_never_leads_out(
    source: LocalClaimSource, prefix: Path, outside: Path
) -> None:
    inner = prefix / "deep"
    inner.mkdir()
    (inner / "photo.jpg").write_bytes(b"x" * len(SECRET))
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            inner.rename(prefix / "away")
            inner.symlink_to(outside)
            inner.unlink()
            (prefix / "away").rename(inner)

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = set()
    try:
        for _ in range(300):
            try:
                opened = source.open(claim(inner / "photo.jpg"))
            except ClaimFault as fault:
                seen.add(type(fault).__name__)
                continue
            seen.add(b"".join(opened.chunks()).decode())
            opened.close()
    finally:
        over.set()
        swapping.join()
    assert SECRET.decode() not in seen


def test_nothing_stays_open(source: LocalClaimSource, prefix: Path, outside: Path) -> None:
    (prefix / "link").symlink_to(outside)
    (prefix / "photo.jpg").write_bytes(SECRET)
    before = len(os.listdir("/dev/fd"))
    for path in (prefix / "link" / "photo.jpg", prefix / "missing", prefix, prefix / "photo.jpg" / "x"):
        with pytest.raises(ClaimFault):
            source.open(claim(path))
    opened = source.open(claim(prefix / "photo.jpg"))
    opened.close()
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("call", ["open", "pread", "unlink", "fsync"])
def test_what_may_pass_is_not_the_claims_fault_and_names_no_file(
    source: LocalClaimSource, prefix: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (prefix / "ada.jpg").write_bytes(SECRET)

    def broken(*arguments: object, **named: object) -> None:
        raise OSError(5, "Input/output error", "ada.jpg")

    there = source.open(claim(prefix / "ada.jpg"))
    acts: dict[str, Callable[[], object]] = {
        "open": lambda: source.open(claim(prefix / "ada.jpg")),
        "pread": lambda: list(there.chunks()),
    }
    with monkeypatch.context() as patch:
        patch.setattr(os, call, broken)
        with pytest.raises(Unavailable) as told:
            acts.get(call, there.remove)()
    assert "ada" not in str(told.value)
    there.close()


def test_no_refusal_names_the_file(source: LocalClaimSource, prefix: Path, outside: Path) -> None:
    (prefix / "ada.jpg").symlink_to(outside / "photo.jpg")
    for path in (prefix / "ada.jpg", prefix / "ada-missing.jpg", outside / "ada.jpg"):
        with pytest.raises(MayflyError) as told:
            source.open(claim(path))
        assert "ada" not in str(told.value)
