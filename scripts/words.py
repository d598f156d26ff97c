"""Check that no file of the repository names a package registry or a path of one machine.

Usage: python scripts/words.py
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = {
    "a package registry": re.compile(rb"pypi\.org|pythonhosted\.org|anaconda\.org|registry\.npmjs\.org", re.IGNORECASE),
    "a path of one machine": re.compile(rb"(?<![\w.~$}*-])/(?:home|root|work|Users)/\w"),
}


def faults_in(name: str, content: bytes) -> list[str]:
    faults = []
    for what, pattern in FORBIDDEN.items():
        for found in pattern.finditer(content):
            line = content.count(b"\n", 0, found.start()) + 1
            faults.append(f"{name}:{line}: names {what}: {found.group().decode()}")
    return faults


def main() -> int:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - whichever git there is
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = [name for name in listing.stdout.decode().split("\0") if (ROOT / name).is_file()]
    faults = [fault for name in names for fault in faults_in(name, (ROOT / name).read_bytes())]
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"No forbidden word in {len(names)} files.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
