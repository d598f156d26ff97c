"""Write THIRD_PARTY_NOTICES.md from requirements*.txt and the installed packages' own metadata.

Usage: python scripts/notices.py [--check]    (--check: compare, write nothing, exit 1 where it is out of date)
"""

import sys
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parent.parent
NOTICES = ROOT / "THIRD_PARTY_NOTICES.md"
LOCKS = ("requirements.txt", "requirements-kafka.txt")
ELSEWHERE = "sys_platform == 'win32'"
"""The marker of what is locked for Windows only, where Mayfly does not run: not installed, so not described."""

HEAD = """\
# Third-party notices

Mayfly is under the Apache License 2.0 (see LICENSE). It contains none of the packages below: it asks for them, and
they are installed beside it under their own licences, whose texts come with them. This page is written by
`make lock` from the packages' metadata.

## Packages Mayfly runs on

| package | licence | source |
|---|---|---|
"""

BUNDLED = """
## Libraries inside pyvips-binary

Its wheels hold libvips and what libvips is built with, as one shared library. The LGPL is met by that: Mayfly calls it
through `pyvips`, and another build of libvips can be put in its place.

| library | licence |
|---|---|
| libvips, fribidi, glib, libexif, libheif, librsvg, pango, proxy-libintl | LGPL-3.0-or-later |
| cairo | MPL-2.0 |
| aom | BSD-2-Clause and the Alliance for Open Media Patent License 1.0 |
| libarchive, libimagequant | BSD-2-Clause |
| libspng | BSD-2-Clause and libpng |
| libwebp | BSD-3-Clause |
| highway | Apache-2.0 or BSD-3-Clause |
| libultrahdr | Apache-2.0 |
| cgif, expat, harfbuzz, lcms, libffi, libnsgif, libxml2, pixman | MIT |
| mozjpeg | IJG, BSD-3-Clause and Zlib |
| fontconfig, freetype, libpng, libtiff, zlib-ng | their own permissive licences (FreeType under the FTL) |

## Libraries inside pi-heif

Its wheels hold two shared libraries and no encoder: no code under the GPL is in them.

| library | licence |
|---|---|
| libheif | LGPL-3.0 |
| libde265 | LGPL-3.0 |

## Libraries inside confluent-kafka

Asked for by the extra `kafka` alone. Its wheels hold librdkafka, built with what is below.

| library | licence |
|---|---|
| librdkafka, zstd, lz4 | BSD-2-Clause or BSD-3-Clause |
| OpenSSL | Apache-2.0 |
| curl, zlib | their own permissive licences |

## Libraries inside cryptography, httptools, pydantic-core and uvloop

cryptography holds OpenSSL (Apache-2.0), httptools llhttp (MIT), uvloop libuv (MIT); cryptography and pydantic-core
hold Rust crates under MIT, Apache-2.0 or BSD licences.

## Libraries inside Pillow

Mayfly does not decode with Pillow; pi-heif asks for it. Its wheels hold, among others, libjpeg-turbo, libpng, libtiff,
libwebp, OpenJPEG, Little CMS, FreeType, HarfBuzz and libavif, all under permissive licences; the list comes with it.
"""


def packages() -> list[str]:
    """The names in the locks, those of every extra included, once each."""
    lines = [line for lock in LOCKS for line in (ROOT / lock).read_text().splitlines()]
    return sorted({line.split("==")[0] for line in lines if line[:1].isalnum() and ELSEWHERE not in line})


def licence(about: Message) -> str:
    """The SPDX expression if there is one; else the classifiers, which say more than the free text where a wheel
    bundles others' libraries; else the free text."""
    if expression := about["License-Expression"]:
        return str(expression)
    named = [c.rsplit(" :: ", 1)[1] for c in about.get_all("Classifier", []) if c.startswith("License :: ")]
    return " / ".join(named) or str(about["License"]).splitlines()[0]


def source(about: Message) -> str:
    links: dict[str, str] = {}
    for link in about.get_all("Project-URL", []):
        label, _, address = link.partition(", ")
        links[label.lower()] = address
    for label in ("source", "source code", "repository", "github", "homepage"):
        if label in links:
            return links[label]
    return str(about["Home-page"])


def page() -> str:
    rows = []
    for name in packages():
        about = cast("Message", metadata.metadata(name))
        rows.append(f"| {name} | {licence(about)} | {source(about)} |\n")
    return HEAD + "".join(rows) + BUNDLED


def main() -> int:
    fresh = page()
    if "--check" not in sys.argv[1:]:
        NOTICES.write_text(fresh)
        return 0
    if NOTICES.read_text() != fresh:
        print(f"{NOTICES.name} is out of date: run `python scripts/notices.py`", file=sys.stderr)
        return 1
    print(f"{NOTICES.name} matches the packages.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
