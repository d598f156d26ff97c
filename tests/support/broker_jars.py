"""Apache Kafka's own programs, as Java archives: fetched once by Maven, kept in `.tools`."""

import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

BROKER = Path(__file__).with_name("broker.pom.xml")
TOOLS = Path(__file__).with_name("broker_tools.pom.xml")
CACHE = Path(__file__).resolve().parents[2] / ".tools" / "kafka"
FETCH = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
FETCH_SECONDS = 300
JAVA = 17
"""The oldest Java that Kafka 4 runs on."""


def lacking() -> list[str]:
    """What a broker takes and this machine has not: packages (of Debian), none if all is there."""
    missing = [] if _java_is_new_enough() else ["default-jre-headless"]
    if shutil.which("mvn") is None and not all(_place(pom).exists() for pom in (BROKER, TOOLS)):
        missing.append("maven")
    return missing


def class_path(pom: Path) -> str:
    """The archives that a list names. Whoever comes first fetches them, others wait for that.

    Raises:
        RuntimeError: Maven could not fetch them; the text says what it said.
    """
    place = _place(pom)
    if not place.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                part = Path(tempfile.mkdtemp(prefix="part-", dir=CACHE))
                _fetch(pom, part)
                part.rename(place)
    return f"{place}/*"


def _place(pom: Path) -> Path:
    """A list that changed has another place."""
    return CACHE / hashlib.sha256(pom.read_bytes()).hexdigest()[:12]


def _fetch(pom: Path, folder: Path) -> None:
    command = [
        "mvn",
        "-q",
        "-B",
        "-ntp",
        FETCH,
        "-f",
        str(pom),
        "-DincludeScope=runtime",
        f"-DoutputDirectory={folder}",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"Kafka could not be fetched: {done.stdout[-2_000:]}{done.stderr[-2_000:]}")


def _java_is_new_enough() -> bool:
    if shutil.which("java") is None:
        return False
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    return version is not None and int(version[1]) >= JAVA
