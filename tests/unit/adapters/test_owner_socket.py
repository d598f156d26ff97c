"""The owner's socket: where it stands, what may be in its way, and who may speak to it."""

import os
import socket
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mayfly.adapters.local import owner_socket
from mayfly.adapters.local.owner_socket import NAME, listening, short_path
from mayfly.entrypoints.http.owner.protocol import may_ask
from mayfly.model.errors import Misconfigured


def connected(folder: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client, short_path(folder) as path:
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def test_it_stands_while_it_lasts_for_its_user_alone(tmp_path: Path) -> None:
    with listening(tmp_path):
        assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
        assert connected(tmp_path)
    assert not (tmp_path / NAME).exists()


def test_what_a_killed_owner_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / NAME))
    assert not connected(tmp_path)
    with listening(tmp_path):
        assert connected(tmp_path)


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_never_removed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / NAME
    (tmp_path / "target").touch()
    if kind == "file":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "target")
    with pytest.raises(Misconfigured, match="in the way"), listening(tmp_path):
        pass
    assert path.exists()


def test_a_path_too_long_for_an_address_goes_by_a_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    with listening(deep):
        assert connected(deep)
    monkeypatch.setattr(owner_socket, "_DESCRIPTORS", tmp_path / "none")
    with pytest.raises(Misconfigured, match="shorten --data"), listening(deep):
        pass


@pytest.mark.parametrize(("uid", "may"), [(0, True), (1_000, True), (1_001, False), (65_534, False)])
def test_other_users_are_refused(monkeypatch: pytest.MonkeyPatch, uid: int, may: bool) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    credentials = SimpleNamespace(getsockopt=lambda *_: b"".join(n.to_bytes(4, "little") for n in (7, uid, uid)))
    assert may_ask(cast("socket.socket", credentials)) == may


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert may_ask(one)
