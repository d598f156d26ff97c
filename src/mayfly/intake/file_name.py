"""The file name in a Content-Disposition header, made safe to show and to store."""

import re
import unicodedata
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header

LONGEST_NAME = 255
_EXTENDED = re.compile(r"""(?i);\s*filename\*\s*=\s*"?(utf-8|iso-8859-1)'[^']*'([^;"\s]*)""")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_DROPPED = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of what follows: they make `gpj.exe` read `exe.jpg`."""


def file_name_of(content_disposition: str | None) -> str | None:
    """The name of the uploaded file, or None where the header names none.

    `filename*` (RFC 8187) wins over `filename`. Only the last part of a path is kept, at most 255 characters, without
    control characters. A plain name is read as UTF-8, or as Latin-1 where it is none.
    """
    if not content_disposition:
        return None
    raw = as_latin1(content_disposition)
    _, options = parse_options_header(raw)
    extended = _EXTENDED.search(_QUOTED.sub(_keep_extended, raw))
    if extended:
        charset, encoded = extended.groups()
        return safe_name(unquote_to_bytes(encoded).decode(charset, errors="replace"))
    return safe_name(as_text(options.get(b"filename", b"")))


def as_latin1(header: str) -> str:
    """A header as servers hand it out, one character a byte, even where somebody has decoded it already."""
    try:
        header.encode("latin-1")
    except UnicodeEncodeError:
        return header.encode("utf-8", errors="replace").decode("latin-1")
    return header


def as_text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _keep_extended(quoted: re.Match[str]) -> str:
    """Hides quoted text, so that a plain name cannot play an extended one; `filename*` itself may stand in quotes."""
    before = quoted.string[: quoted.start()].rstrip()
    return quoted.group() if before.endswith("*=") else '""'


def safe_name(name: str) -> str | None:
    """The last part of a path, at most 255 characters, without control characters; None where nothing is left."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(c for c in last if unicodedata.category(c) not in _DROPPED and c not in _BIDI)
    kept = kept.strip()[:LONGEST_NAME].rstrip()
    return None if kept in ("", ".", "..") else kept
