"""Check the locked requirements: up to date with pyproject.toml, and wheels exist wherever Mayfly is to run.

Usage: python scripts/locks.py UV    (UV: the uv to compile and resolve with)
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "x86_64-apple-darwin", "aarch64-apple-darwin")
PYTHONS = ("3.11", "3.12", "3.13")
SOURCE_ONLY = "pyvips"
"""Published as source alone. It is pure Python, so it installs anywhere; libvips comes as a wheel, pyvips-binary."""

LOCKS = {
    "requirements-dev.txt": ["pyproject.toml", "--all-extras", "--group", "dev"],
    "requirements.txt": ["pyproject.toml", "--constraints", "requirements-dev.txt"],
    "requirements-kafka.txt": ["pyproject.toml", "--extra", "kafka", "--constraints", "requirements-dev.txt"],
    "requirements-build.txt": ["--group", "build", "--constraints", "requirements-dev.txt"],
    "requirements-uv.txt": ["--group", "lock"],
}
COMPILE = ("--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--python-version", "3.11")


def pins(lock: Path) -> list[str]:
    """What a lock demands. Hashes may be added to a published version and comments mean nothing: both stay out."""
    return [line.rstrip(" \\") for line in lock.read_text().splitlines() if line[:1].isalnum()]


def stale(uv: str) -> list[str]:
    """Compile each lock onto a copy of itself: whatever changes was out of date."""
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments in LOCKS.items():
            fresh = Path(folder, name)
            shutil.copy(ROOT / name, fresh)
            command = [uv, "pip", "compile", "--quiet", *COMPILE, *arguments, "--output-file", str(fresh)]
            run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            if run.returncode:
                faults.append(f"{name} cannot be compiled:\n{run.stderr}")
            elif pins(fresh) != pins(ROOT / name):
                faults.append(f"{name} is stale: run `make lock`")
    return faults


def without_wheels(uv: str) -> list[str]:
    """Resolve the locks, hashes included, for every platform and Python from wheels alone. Nothing is installed."""
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        excludes = Path(folder, "excludes.txt")
        excludes.write_text(SOURCE_ONLY + "\n")
        for platform in PLATFORMS:
            for python in PYTHONS:
                where = ["--python-platform", platform, "--python-version", python, "--target", str(Path(folder, "to"))]
                what = ["--require-hashes", "--only-binary", ":all:", "--excludes", str(excludes)]
                command = [uv, "pip", "install", "--quiet", "--dry-run", *where, *what, "-r", "requirements-dev.txt"]
                run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
                if run.returncode:
                    faults.append(f"no wheels for {platform}, Python {python}:\n{run.stderr}")
    return faults


def main() -> int:
    uv = shutil.which(sys.argv[1])
    if uv is None:
        print(f"there is no uv at {sys.argv[1]}", file=sys.stderr)
        return 2
    uv = str(Path(uv).absolute())
    faults = stale(uv) + without_wheels(uv)
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"Locks are fresh; wheels exist for {len(PLATFORMS)} platforms and Python {', '.join(PYTHONS)}.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
