"""The two folders: one owner each, bound to one another, and nobody else's files touched."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mayfly.adapters.local import data_folder
from mayfly.adapters.local.data_folder import DataFolder
from mayfly.adapters.local.durable import opening
from mayfly.adapters.local.key_store import SlotKeyStore
from mayfly.model.errors import Misconfigured, StorageFull


def start(data: Path, keys: Path) -> None:
    """As a server starts, as far as the folders go."""
    with closing(DataFolder(data, keys, movable_clock=False)):
        with opening("--keys"):
            SlotKeyStore(keys, 8).close()
        (data / "mayfly.db").touch()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_a_keys_folder_has_one_owner_whatever_the_data(data: Path, keys: Path, tmp_path: Path) -> None:
    with closing(DataFolder(data, keys, movable_clock=False)):
        with pytest.raises(Misconfigured, match=rf"{keys} is owned by .* \(pid {os.getpid()}\).*--keys"):
            DataFolder(tmp_path / "other", keys, movable_clock=False)
        with pytest.raises(Misconfigured, match=rf"{data} is owned by .* \(pid {os.getpid()}\).*--data"):
            DataFolder(data, tmp_path / "others", movable_clock=False)
    start(data, keys)


def test_the_same_two_start_again(data: Path, keys: Path) -> None:
    start(data, keys)
    start(data, keys)
    assert mode(data) == mode(keys) == 0o700


def test_a_forgotten_keys_folder_is_named_and_none_is_made_in_its_place(data: Path, keys: Path, tmp_path: Path) -> None:
    start(data, keys)
    with pytest.raises(Misconfigured, match=rf"keys folder that belongs to {data}, made as {keys}, is missing"):
        start(data, tmp_path / "data.keys")
    assert not (tmp_path / "data.keys").exists()


def test_an_empty_keys_folder_is_not_taken_for_the_lost_one(data: Path, keys: Path) -> None:
    start(data, keys)
    shutil.rmtree(keys)
    keys.mkdir()
    with pytest.raises(Misconfigured, match="is missing"):
        start(data, keys)


def test_the_keys_of_other_data_are_refused(data: Path, keys: Path, tmp_path: Path) -> None:
    start(data, keys)
    start(tmp_path / "other", tmp_path / "other.keys")
    with pytest.raises(Misconfigured, match="is missing"):
        start(data, tmp_path / "other.keys")
    start(data, keys)


def test_copies_belong_together_as_the_originals_do(data: Path, keys: Path, tmp_path: Path) -> None:
    start(data, keys)
    shutil.copytree(data, tmp_path / "copy")
    shutil.copytree(keys, tmp_path / "copy.keys")
    start(tmp_path / "copy", tmp_path / "copy.keys")
    start(tmp_path / "copy", keys)


@pytest.mark.parametrize("marks_written", [0, 1])
def test_a_first_start_cut_short_heals(
    data: Path, keys: Path, marks_written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = data_folder._write_mark
    written: list[Path] = []

    def cut(path: Path, mark: dict[str, object]) -> None:
        if len(written) == marks_written:
            path.with_suffix(".part").touch()
            raise KeyboardInterrupt
        written.append(path)
        write(path, mark)

    with monkeypatch.context() as patch:
        patch.setattr(data_folder, "_write_mark", cut)
        with pytest.raises(KeyboardInterrupt):
            start(data, keys)
    start(data, keys)
    start(data, keys)


def test_folders_from_before_there_were_pairs_become_one(data: Path, keys: Path, tmp_path: Path) -> None:
    start(data, keys)
    (keys / "mayfly-keys.json").unlink()
    (data / "mayfly.json").write_text('{"format": 1, "clock": "system"}')
    start(data, keys)
    start(tmp_path / "other", tmp_path / "other.keys")
    with pytest.raises(Misconfigured, match="is missing"):
        start(data, tmp_path / "other.keys")


@pytest.mark.parametrize("which", ["data", "keys"])
def test_a_folder_of_somebody_elses_is_left_as_it_is(data: Path, keys: Path, which: str) -> None:
    foreign = {"data": data, "keys": keys}[which]
    foreign.mkdir()
    foreign.chmod(0o755)
    (foreign / "letter.txt").touch()
    with pytest.raises(Misconfigured, match=rf"{foreign} holds other files \('letter.txt'\).*--{which}"):
        start(data, keys)
    assert mode(foreign) == 0o755
    assert os.listdir(foreign) == ["letter.txt"]


def test_the_two_are_not_taken_for_one_another(data: Path, keys: Path) -> None:
    start(data, keys)
    with pytest.raises(Misconfigured, match="--data"):
        start(keys, data)


def test_an_empty_folder_is_taken_and_closed_to_others(data: Path, keys: Path) -> None:
    for folder in (data, keys):
        folder.mkdir()
        folder.chmod(0o755)
    (data / "lost+found").mkdir()
    start(data, keys)
    assert mode(data) == mode(keys) == 0o700


def test_our_own_folders_are_closed_to_others_again(data: Path, keys: Path) -> None:
    start(data, keys)
    data.chmod(0o750)
    keys.chmod(0o755)
    start(data, keys)
    assert mode(data) == mode(keys) == 0o700


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"format": "one"}', "\xff"])
@pytest.mark.parametrize("name", ["data/mayfly.json", "keys/mayfly-keys.json"])
def test_a_damaged_mark_is_told(data: Path, keys: Path, name: str, text: str) -> None:
    start(data, keys)
    (data.parent / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(Misconfigured, match=rf"{name} is damaged"):
        start(data, keys)


def test_a_newer_mark_is_refused(data: Path, keys: Path) -> None:
    for place in (data / "mayfly.json", keys / "mayfly-keys.json"):
        start(data, keys)
        made = json.loads(place.read_text())
        place.write_text(json.dumps({**made, "format": 2}))
        with pytest.raises(Misconfigured, match="newer"):
            start(data, keys)
        place.write_text(json.dumps(made))


def _a_file(folder: Path) -> Path:
    folder.touch()
    return folder


def _beneath_a_file(folder: Path) -> Path:
    return _a_file(folder) / "x"


def _where_nothing_can_be_made(_: Path) -> Path:
    return Path("/proc/mayfly")


@pytest.mark.parametrize("which", ["data", "keys"])
@pytest.mark.parametrize("place", [_a_file, _beneath_a_file, _where_nothing_can_be_made])
def test_a_place_that_cannot_be_a_folder_is_named(
    data: Path, keys: Path, which: str, place: Callable[[Path], Path]
) -> None:
    places = {"data": data, "keys": keys}
    places[which] = place(places[which])
    with pytest.raises(Misconfigured, match=rf"cannot be used.*--{which}") as told:
        start(places["data"], places["keys"])
    assert "\n" not in str(told.value)


def test_no_permission_is_told_with_the_files_name() -> None:
    told = r"/x/owner\.lock cannot be used \(Permission denied\).*--data"
    with pytest.raises(Misconfigured, match=told), opening("--data"):
        raise PermissionError(13, "Permission denied", "/x/owner.lock")
    with pytest.raises(StorageFull), opening("--data"):
        raise OSError(28, "No space left on device")


def test_a_mark_that_cannot_be_read_is_told_in_a_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "mayfly.json").mkdir()  # root may open any file, but no folder as one
    ended = subprocess.run(
        [sys.executable, "-m", "mayfly", "up", "--data", str(data), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "mayfly.json" in ended.stderr
