"""The wheel alone: what a user installs, away from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASSETS = {
    "mayfly/py.typed",
    "mayfly/adapters/local/formats/0001.sql",
    "mayfly/entrypoints/http/console/index.html",
    "mayfly/entrypoints/http/console/console.css",
    "mayfly/entrypoints/http/console/console.js",
}
LICENCES = {"LICENSE", "THIRD_PARTY_NOTICES.md"}


def run(command: Sequence[str | Path], folder: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git knows, by the builder in this environment: nothing is fetched."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listing = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT)
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", out], source)
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def uv() -> str:
    """As the Makefile finds it."""
    found = shutil.which("uv") or shutil.which(ROOT / ".tools" / "bin" / "uv")
    assert found, "no uv: run the tests by `make test`"
    return found


def test_the_wheel_holds_all_it_needs_and_nothing_of_the_workshop(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    information = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    tracked = set(run(["git", "ls-files", "src"], ROOT).split())
    assert names >= ASSETS
    assert names >= {f"{information}/licenses/{name}" for name in LICENCES}
    assert {f"src/{name}" for name in names if not name.startswith(information)} >= tracked - _removed(tracked)
    assert {name.split("/")[0] for name in names} == {"mayfly", information}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def _removed(tracked: set[str]) -> set[str]:
    """Deleted here, but not in git yet."""
    return {name for name in tracked if not (ROOT / name).exists()}


def test_the_wheel_alone_runs_the_demonstration(wheel: Path, uv: str, tmp_path: Path) -> None:
    home, place = tmp_path / "environment", tmp_path / "empty"
    place.mkdir()
    run([uv, "venv", "--quiet", "--no-python-downloads", "--python", sys.executable, home], tmp_path)
    install = [uv, "pip", "install", "--quiet", "--no-config", "--python", str(home / "bin" / "python")]
    # pyvips is published as source: what builds it is locked, too, and stays out of the environment under test.
    builders = tmp_path / "builders.txt"
    shutil.copy(ROOT / "requirements-build.txt", builders)
    run([*install, "--require-hashes", "--build-constraints", str(builders), "-r", ROOT / "requirements.txt"], tmp_path)
    run([*install, "--no-deps", "--offline", wheel], tmp_path)

    clean = {"PATH": f"{home / 'bin'}{os.pathsep}/usr/bin:/bin", "HOME": str(place), "TMPDIR": str(tmp_path)}
    where = run([home / "bin" / "python", "-c", "import mayfly; print(mayfly.__file__)"], place, clean)
    assert Path(where.strip()).is_relative_to(home)
    assert "All true" in run([home / "bin" / "mayfly", "demo", "--fast"], place, clean)
    assert list(place.iterdir()) == []
