"""Signing in on the console page: a token, shown once, opens a session that a cookie carries.

The cookie does not hold the token: browsers send one host's cookies to every port of it. It names the token and the
session's end, under a key that only this process has. So it dies with the server, opens nothing elsewhere, and each
request still asks whether its token lives. Beside it stand SameSite=Strict and the guard, which refuses other sites.
"""

import hmac
import secrets
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from mayfly.entrypoints.http.errors import PRIVATE
from mayfly.entrypoints.http.json_bodies import json_body, json_or_nothing
from mayfly.entrypoints.http.origin import Reach
from mayfly.entrypoints.http.stages import Stages, stages_of
from mayfly.model.instant import SECOND, Ms, rfc3339
from mayfly.model.token import Token

LONGEST_SESSION = 12 * 60 * 60 * SECOND

_SECURE_NAME, _PLAIN_NAME = "__Host-mayfly", "mayfly"

router = APIRouter(prefix="/v1/session", tags=["session"])
TheStages = Annotated[Stages, Depends(stages_of)]


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str


class SessionOut(BaseModel):
    name: str
    role: str
    expires_at: str = Field(description="When the session ends: with its token, or after 12 hours.")


class Sessions:
    """Opens sessions, and reads them out of requests."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def open(self, token: Token, now: Ms) -> tuple[str, Ms]:
        """What the cookie carries, and when it ends."""
        ends = min(token.expires_at, Ms(now + LONGEST_SESSION))
        return f"{token.id}.{ends}.{self._mac(token.id, str(ends))}", ends

    def token_id(self, carried: str, now: Ms) -> str | None:
        """Whose session it is; None for one that ended, or is none of ours."""
        token_id, _, rest = carried.partition(".")
        ends, _, mac = rest.partition(".")
        genuine = hmac.compare_digest(mac.encode(), self._mac(token_id, ends).encode())
        return token_id if genuine and now < int(ends) else None

    def _mac(self, token_id: str, ends: str) -> str:
        return hmac.new(self._key, f"{token_id}.{ends}".encode(), sha256).hexdigest()


def carried_by(request: Request) -> str | None:
    """The session's cookie."""
    return request.cookies.get(_cookie_name(request))


@router.post("", response_model=SessionOut)
async def sign_in(request: Request, response: Response, stages: TheStages) -> SessionOut:
    """Open a session for the bearer of a token."""
    shown = await json_body(request, SignIn)
    token = stages.tokens.holder(shown.token)
    sessions: Sessions = request.app.state.sessions
    carried, ends = sessions.open(token, stages.clock.now())
    secure = _is_secure(request)
    response.set_cookie(_cookie_name(request), carried, httponly=True, secure=secure, samesite="strict", path="/")
    response.headers.update(PRIVATE)
    return SessionOut(name=token.name, role=token.role, expires_at=rfc3339(ends))


@router.delete("", status_code=204, dependencies=[Depends(json_or_nothing)])
async def sign_out(request: Request) -> Response:
    """Take the session's cookie back."""
    response = Response(status_code=204, headers=dict(PRIVATE))
    response.delete_cookie(
        _cookie_name(request), httponly=True, secure=_is_secure(request), samesite="strict", path="/"
    )
    return response


def _cookie_name(request: Request) -> str:
    # The prefix makes browsers refuse the cookie from anywhere but this very host over TLS (RFC 6265bis, 4.1.3.2).
    return _SECURE_NAME if _is_secure(request) else _PLAIN_NAME


def _is_secure(request: Request) -> bool:
    reach: Reach = request.app.state.reach
    return reach.scheme(request.headers) == "https"
