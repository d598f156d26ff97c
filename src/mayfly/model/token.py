"""Tokens: what a caller from elsewhere shows to be let in, and what is kept of it.

A token reads `mfy_{id}_{secret}`. The prefix lets scanners of leaked secrets know it; the id is public and names it;
the secret is 256 random bits. Of the secret only its SHA-256 is kept. A slow hash would add nothing: it makes guesses
of weak passwords dear, and nobody guesses 256 random bits at any speed; here it would let strangers make us work.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field

from mayfly.model.errors import InvalidRequest
from mayfly.model.instant import MINUTE, Ms
from mayfly.model.principal import LOCAL, Role

PREFIX = "mfy"
LONGEST_LIFE = 366 * 24 * 60 * MINUTE

_ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""Thirty-two signs, none to be taken for another; no `_`, which divides a token's parts."""
_ID_LENGTH = 10
_SECRET = re.compile(rf"{PREFIX}_([{_ID_ALPHABET}]{{{_ID_LENGTH}}})_[A-Za-z0-9_-]{{43}}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token. `name` is its bearer's, as recorded on what they do; `digest` is 32 bytes."""

    id: str
    name: str
    role: Role
    digest: bytes = field(repr=False)
    created_at: Ms
    expires_at: Ms
    revoked_at: Ms | None = None

    def live(self, now: Ms) -> bool:
        return self.revoked_at is None and now < self.expires_at

    @property
    def ended_at(self) -> Ms:
        """When it ends, or ended."""
        return self.expires_at if self.revoked_at is None else min(self.revoked_at, self.expires_at)


def make_token(role: Role, life: int, now: Ms, name: str | None = None) -> tuple[Token, str]:
    """A new token, and the secret text that is shown once.

    Args:
        life: in ms.
        name: 1 to 64 of A-Z, a-z, 0-9 and `._@-`; by default its role and id.

    Raises:
        InvalidRequest: no such name, or life.
    """
    if not 0 < life <= LONGEST_LIFE:
        raise InvalidRequest("a token lives for more than nothing and for 366 days at most")
    if name is not None and (not _NAME.fullmatch(name) or name == LOCAL):
        raise InvalidRequest(
            f"a token's name is 1 to 64 of A-Z, a-z, 0-9 and ._@-, beginning with a letter or digit, and not {LOCAL!r}"
        )
    token_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
    text = f"{PREFIX}_{token_id}_{secrets.token_urlsafe(32)}"
    token = Token(token_id, name or f"{role}-{token_id}", role, digest_of(text), now, Ms(now + life))
    return token, text


def id_of(text: str) -> str | None:
    """The id that a token's text claims; None for what cannot be one."""
    found = _SECRET.fullmatch(text)
    return found[1] if found else None


def digest_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
