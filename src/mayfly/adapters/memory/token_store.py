"""Tokens in a dictionary."""

import threading
from dataclasses import replace

from mayfly.model.errors import AlreadyExists, NotFound
from mayfly.model.instant import Ms
from mayfly.model.token import Token


class MemoryTokenStore:
    """Implements `ports.token_store.TokenStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[str, Token] = {}

    def add(self, token: Token) -> None:
        with self._lock:
            if token.id in self._tokens:
                raise AlreadyExists("there is a token of this id already")
            self._tokens[token.id] = token

    def all(self) -> list[Token]:
        with self._lock:
            return sorted(self._tokens.values(), key=lambda token: (token.created_at, token.id))

    def revoke(self, token_id: str, at: Ms) -> Token:
        with self._lock:
            token = self._tokens.get(token_id)
            if token is None:
                raise NotFound("there is no such token")
            if token.revoked_at is None:
                token = self._tokens[token_id] = replace(token, revoked_at=at)
            return token

    def forget(self, ended_before: Ms) -> int:
        with self._lock:
            ended = [token.id for token in self._tokens.values() if token.ended_at < ended_before]
            for token_id in ended:
                del self._tokens[token_id]
            return len(ended)
