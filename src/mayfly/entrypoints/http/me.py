"""Whom the server takes the caller for."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from mayfly.entrypoints.http.access import authorize
from mayfly.entrypoints.http.errors import PRIVATE
from mayfly.entrypoints.http.session import carried_by
from mayfly.model.principal import Principal

router = APIRouter(tags=["session"])


class MeOut(BaseModel):
    name: str
    role: str
    signed_in: bool = Field(description="By a session's cookie, which DELETE /v1/session takes back.")


@router.head("/v1/me", include_in_schema=False)
@router.get("/v1/me", response_model=MeOut)
async def me(request: Request, response: Response, caller: Annotated[Principal, Depends(authorize)]) -> MeOut:
    """The caller's name and role."""
    response.headers.update(PRIVATE)
    by_cookie = "authorization" not in request.headers and not request.app.state.reach.open
    return MeOut(name=caller.name, role=caller.role, signed_in=by_cookie and carried_by(request) is not None)
