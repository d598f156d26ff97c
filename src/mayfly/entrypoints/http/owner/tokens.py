"""Tokens, asked of the owner: `mayfly token` while a server runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict

from mayfly.entrypoints.http.json_bodies import json_body
from mayfly.entrypoints.http.stages import Stages, stages_of
from mayfly.operations.tokens import described, role_of

router = APIRouter(prefix="/tokens")
TheStages = Annotated[Stages, Depends(stages_of)]


@router.get("")
def list_tokens(stages: TheStages) -> list[dict[str, Any]]:
    """Every token, oldest first, without its secret: nobody has it."""
    now = stages.clock.now()
    return [described(token, now) for token in stages.tokens.all()]


class NewToken(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    role: str
    life_ms: int
    name: str | None


@router.post("", status_code=201)
async def create_token(request: Request, stages: TheStages) -> dict[str, Any]:
    """Make one. The answer's `token` is the secret text, shown this once."""
    wanted = await json_body(request, NewToken)
    token, text = await run_in_threadpool(stages.tokens.create, role_of(wanted.role), wanted.life_ms, wanted.name)
    return described(token, stages.clock.now()) | {"token": text}


@router.delete("/{token_id}")
def revoke_token(token_id: str, stages: TheStages) -> dict[str, Any]:
    """End one. The answer tells what it was."""
    return described(stages.tokens.revoke(token_id), stages.clock.now())
