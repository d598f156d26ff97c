"""The tokens there are: their roles and times, and of their secrets a hash."""

from typing import Protocol

from mayfly.model.instant import Ms
from mayfly.model.token import Token


class TokenStore(Protocol):
    """Every write is durable when it returns."""

    def add(self, token: Token) -> None:
        """
        Raises:
            AlreadyExists: there is one of this id, live or not.
            StorageFull: no room; nothing was added.
        """
        ...

    def all(self) -> list[Token]:
        """Every token, ended ones too, in the order of `created_at`, then of their ids."""
        ...

    def revoke(self, token_id: str, at: Ms) -> Token:
        """End a token, on a full disk too. Repeatable: the first time stands. Returns it as it is from now on.

        Raises:
            NotFound: there is none of this id.
        """
        ...

    def forget(self, ended_before: Ms) -> int:
        """Remove the tokens that expired or were revoked before that instant. Returns how many."""
        ...
