"""Asking the owner of a data folder over its socket; or, where none runs, opening the folder in its stead."""

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from mayfly.adapters.local.owner_socket import short_path
from mayfly.model.errors import MayflyError, Misconfigured, NotFound, Owned
from mayfly.operations.tokens import Tokens, described, role_of
from mayfly.settings import Settings
from mayfly.wiring.embedded import tokens_alone

Answer = TypeVar("Answer")

_PATIENCE_SECONDS = 15.0
"""How long a folder may be owned without its socket answering: a start, and a stop, take a while."""
_POLL_SECONDS = 0.1
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)


def create_token(settings: Settings, role: str, life_ms: int, name: str | None) -> dict[str, Any]:
    """Make a token; `token` in the answer is its secret text. A data folder that is missing is made."""

    def alone(tokens: Tokens) -> dict[str, Any]:
        token, text = tokens.create(role_of(role), life_ms, name)
        return described(token, token.created_at) | {"token": text}

    wanted = {"role": role, "life_ms": life_ms, "name": name}
    return _asked(settings, lambda owner: _answer(owner.post("/tokens", json=wanted)), alone)


def list_tokens(settings: Settings) -> list[dict[str, Any]]:
    """Every token, oldest first."""
    _must_exist(settings)
    return _asked(
        settings,
        lambda owner: _answer(owner.get("/tokens")),
        lambda tokens: [described(token, tokens.now()) for token in tokens.all()],
    )


def revoke_token(settings: Settings, token_id: str) -> dict[str, Any]:
    """End a token.

    Raises:
        NotFound: there is none of this id.
    """
    _must_exist(settings)
    return _asked(
        settings,
        lambda owner: _answer(owner.delete(f"/tokens/{quote(token_id, safe='')}")),
        lambda tokens: described(tokens.revoke(token_id), tokens.now()),
    )


def _asked(settings: Settings, over: Callable[[httpx.Client], Answer], alone: Callable[[Tokens], Answer]) -> Answer:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        if settings.data.is_dir():
            try:
                with short_path(settings.data) as path, _client(path) as owner:
                    return over(owner)
            except httpx.ConnectError:
                pass  # nobody listens
            except (httpx.HTTPError, OSError) as fault:
                raise MayflyError(f"the owner of {settings.data} did not answer ({fault}); try again") from None
            _must_be_ours(settings)
        try:
            with tokens_alone(settings) as tokens:
                return alone(tokens)
        except Owned:
            # Its owner is starting, or stopping: soon either its socket answers, or its lock is free.
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)


def _client(path: str) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://owner", timeout=_TIMEOUT)


def _answer(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json()
    said = str(response.json()["detail"])
    raise NotFound(said) if response.status_code == httpx.codes.NOT_FOUND else MayflyError(said)


def _must_exist(settings: Settings) -> None:
    if not settings.data.is_dir():
        raise Misconfigured(f"there is no data folder {settings.data}: name it with --data")


def _must_be_ours(settings: Settings) -> None:
    """Files made here would be of another user than the rest, and the server could not open them."""
    owner = settings.data.stat().st_uid
    if owner != os.geteuid():
        raise Misconfigured(f"{settings.data} belongs to the user of id {owner}, and no server answers: be that user")
