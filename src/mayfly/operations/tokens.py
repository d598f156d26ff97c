"""Tokens: made, listed, revoked, and told from false ones.

The owner alone changes them, so it keeps them in memory, too: a request is judged without a look at the disk, and by
what holds at that instant. A token that was revoked is refused from the next request on.
"""

import hmac
import threading

from mayfly.model.errors import Conflict, InvalidRequest, Unauthenticated
from mayfly.model.instant import MINUTE, Ms, rfc3339
from mayfly.model.journal import Journal
from mayfly.model.principal import Role
from mayfly.model.token import Token, digest_of, id_of, make_token
from mayfly.ports.clock import Clock
from mayfly.ports.token_store import TokenStore

MOST_TOKENS = 1_000
"""Live or not: as many as are kept in memory, and listed at once."""
REMEMBERED_MS = 30 * 24 * 60 * MINUTE
"""How long the list still shows a token after its end."""

_NOBODY = bytes(32)


class Tokens:
    def __init__(self, store: TokenStore, clock: Clock, journal: Journal) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._lock = threading.Lock()
        self._known = {token.id: token for token in store.all()}

    def create(self, role: Role, life: int, name: str | None = None) -> tuple[Token, str]:
        """A new token that lives `life` ms, and its secret text, which is kept nowhere.

        Raises:
            InvalidRequest: no such name, or life.
            Conflict: there are too many.
            StorageFull: the disk has no room.
        """
        with self._lock:
            now = self._clock.now()
            token, text = make_token(role, life, now, name)
            if not self._clock.held():  # asked after the instant: one that nobody believes would end them all
                self._forget(Ms(now - REMEMBERED_MS))
            if len(self._known) >= MOST_TOKENS:
                raise Conflict(f"there are {MOST_TOKENS} tokens; one that ended makes room 30 days later")
            self._store.add(token)
            self._known[token.id] = token
        self._journal("token_created", token=token.id, role=role.value)
        return token, text

    def now(self) -> Ms:
        """The instant by which tokens live."""
        return self._clock.now()

    def all(self) -> list[Token]:
        """Every token, oldest first; those that ended are shown for 30 days."""
        with self._lock:
            since = Ms(self._clock.now() - REMEMBERED_MS)
            return [token for token in self._known.values() if token.ended_at >= since]

    def revoke(self, token_id: str) -> Token:
        """End a token: the next request that shows it is refused. Repeatable.

        Raises:
            NotFound: there is none of this id.
        """
        with self._lock:
            token = self._store.revoke(token_id, self._clock.now())
            self._known[token.id] = token
        self._journal("token_revoked", token=token.id)
        return token

    def holder(self, text: str) -> Token:
        """The live token that this text is. Costs one hash at most, whatever the text.

        Raises:
            Unauthenticated: it is none, or it ended.
        """
        token_id = id_of(text)
        token = self._known.get(token_id) if token_id is not None else None
        matches = token_id is not None and hmac.compare_digest(digest_of(text), token.digest if token else _NOBODY)
        return self._live(token if matches else None)

    def by_id(self, token_id: str) -> Token:
        """The live token of that id, for whoever has proved already to hold it.

        Raises:
            Unauthenticated: there is none, or it ended.
        """
        return self._live(self._known.get(token_id))

    def any_live(self) -> bool:
        now = self._clock.now()
        return any(token.live(now) for token in self.all())

    def _live(self, token: Token | None) -> Token:
        # One answer for all: an id that is known tells nobody anything.
        if token is None or not token.live(self._clock.now()):
            raise Unauthenticated("the token is unknown, expired or revoked; ask for a new one (mayfly token create)")
        return token

    def _forget(self, ended_before: Ms) -> None:
        if self._store.forget(ended_before):
            self._known = {token.id: token for token in self._store.all()}


def role_of(text: str) -> Role:
    """
    Raises:
        InvalidRequest: there is no such role.
    """
    try:
        return Role(text)
    except ValueError:
        raise InvalidRequest(f"a role is one of {', '.join(Role)}; got {text[:40]!r}") from None


def described(token: Token, now: Ms) -> dict[str, str | None]:
    """A token as JSON says it, without what could be used or tried."""
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.value,
        "state": "live" if token.live(now) else "expired" if token.revoked_at is None else "revoked",
        "created_at": rfc3339(token.created_at),
        "expires_at": rfc3339(token.expires_at),
        "revoked_at": None if token.revoked_at is None else rfc3339(token.revoked_at),
    }
