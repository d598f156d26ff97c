"""What several routes take, read in one way."""

import re

from mayfly.model.errors import InvalidRequest
from mayfly.model.instant import Ms, parse_rfc3339
from mayfly.model.listing import LARGEST_PAGE

_LIMIT = re.compile(r"[0-9]{1,3}")


def instant(name: str, text: str | None) -> Ms | None:
    """
    Raises:
        InvalidRequest: not an RFC 3339 time with its offset.
    """
    if text is None:
        return None
    try:
        # A plus sign in a query is a space once decoded; nobody means a space here.
        return parse_rfc3339(text.replace(" ", "+"))
    except ValueError:
        raise InvalidRequest(f"{name} is an RFC 3339 time such as 2026-11-23T00:00:00Z; got {text[:40]!r}") from None


def page_limit(text: str) -> int:
    """
    Raises:
        InvalidRequest: not 1 to `LARGEST_PAGE`.
    """
    if not _LIMIT.fullmatch(text) or not 1 <= int(text) <= LARGEST_PAGE:
        raise InvalidRequest(f"limit is 1 to {LARGEST_PAGE}; got {text[:40]!r}")
    return int(text)


def refuse_unknown(given: set[str], known: frozenset[str]) -> None:
    """Raises InvalidRequest for a parameter that is none: misspelt, it would let everything through."""
    unknown = sorted(given - known)
    if unknown:
        raise InvalidRequest(f"{unknown[0][:40]!r} is no filter; there are {', '.join(sorted(known))}")
