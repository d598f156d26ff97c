"""Claim checks: a record that says where an image's bytes stand instead of holding them."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from mayfly.model.errors import ClaimRefused

LONGEST_URI = 4_096
_FILE = "file:///"
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim check says: where (`uri`), the SHA-256 in lower-case hex, and how many bytes."""

    uri: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class ClaimPrefix:
    """A folder beneath which claim checks may point. The files of an `external` one are not ours to remove."""

    folder: Path
    external: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A file beneath a prefix: the names of the folders on the way, and its own name last."""

    prefix: ClaimPrefix
    names: tuple[str, ...]


def place_of(uri: str, prefixes: Iterable[ClaimPrefix]) -> Place:
    """Where a claim's address lies. Of prefixes within one another the innermost counts.

    Raises:
        ClaimRefused: it is no `file:///` address of a plain path, or lies beneath no prefix.
    """
    names = _names_of(uri)
    found: Place | None = None
    for prefix in prefixes:
        above = prefix.folder.parts[1:]
        beneath = len(names) > len(above) and names[: len(above)] == above
        if beneath and (found is None or len(above) > len(found.prefix.folder.parts) - 1):
            found = Place(prefix, names[len(above) :])
    if found is None:
        raise ClaimRefused("the claim check points outside the folders that kafka_claims allows")
    return found


def _names_of(uri: str) -> tuple[str, ...]:
    # RFC 8089 without what it leaves to taste: no host, `localhost` included, no query, no fragment.
    if not uri.startswith(_FILE) or len(uri) > LONGEST_URI or "?" in uri or "#" in uri or _BROKEN_ESCAPE.search(uri):
        raise ClaimRefused("a claim check's uri is a file:/// address with an absolute path and nothing else")
    try:
        # Split first: an escaped slash divides nothing, and no name may hold one.
        names = tuple(os.fsdecode(unquote_to_bytes(name)) for name in uri.removeprefix(_FILE).split("/"))
    except UnicodeError:
        raise ClaimRefused("a claim check's uri is written in UTF-8") from None
    for name in names:
        if name in ("", ".", "..") or "/" in name or "\x00" in name:
            raise ClaimRefused("a claim check's path has no empty name, no '.' or '..', no escaped slash and no NUL")
    return names
