"""A consumer stores files that the owner has to open and remove: it runs as the owner's user, root or not."""

import os
import socket
from pathlib import Path

import pytest

from mayfly.adapters.local.owner_socket import listening
from mayfly.model.errors import Misconfigured, Unavailable
from mayfly.settings import Settings
from mayfly.wiring import consumer as wired


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(wired, "OWNER_SECONDS", 0.2)
    options = {"data": tmp_path, "kafka": "127.0.0.1:9", "topic": ["photos"]}
    return Settings.load(None, options, {})


def test_another_user_than_the_owners_is_told_to_be_that_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = os.geteuid()
    with listening(settings.data) as listener:
        assert isinstance(listener, socket.socket)
        monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
        with pytest.raises(Misconfigured, match="as the same user as `mayfly up`"), wired.consuming(settings, {}):
            pytest.fail("it consumes")


def test_where_no_owner_is_none_is_somebody_elses(settings: Settings) -> None:
    with pytest.raises(Unavailable, match="start `mayfly up"), wired.consuming(settings, {}):
        pytest.fail("it consumes")
