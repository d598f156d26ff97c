"""The route that has images processed again."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from mayfly.entrypoints.http.access import authorize
from mayfly.entrypoints.http.json_bodies import json_body
from mayfly.entrypoints.http.parameters import instant
from mayfly.entrypoints.http.shapes import ReprocessOut
from mayfly.entrypoints.http.stages import Stages, stages_of
from mayfly.model.errors import InvalidRequest
from mayfly.model.identity import ImageId
from mayfly.model.image import Source
from mayfly.model.lifecycle import State
from mayfly.model.listing import Filter, decode_cursor, encode_cursor
from mayfly.model.principal import Principal
from mayfly.processing.reprocess import MOST_AT_ONCE

router = APIRouter(prefix="/v1", tags=["images"])

Caller = Annotated[Principal, Depends(authorize)]
TheStages = Annotated[Stages, Depends(stages_of)]


class ReprocessIn(BaseModel):
    """Which images. `ids` stands alone: an image that is named needs no filter."""

    model_config = ConfigDict(extra="forbid")

    state: State | None = Field(default=None, description="processed or failed; both without it.")
    source: Source | None = None
    received_from: str | None = Field(default=None, description="Born at or after, RFC 3339.")
    received_to: str | None = Field(default=None, description="Born before, RFC 3339.")
    ids: list[str] | None = Field(default=None, max_length=MOST_AT_ONCE)
    cursor: str | None = Field(default=None, description="`next_cursor` of the answer before, unchanged.")
    dry_run: bool = Field(default=False, description="Count only.")


_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": ReprocessIn.model_json_schema()}}}
}


@router.post("/reprocess", response_model=ReprocessOut, openapi_extra=_BODY)
async def reprocess(request: Request, _: Caller, stages: TheStages) -> ReprocessOut:
    """Process again what the recipes in force would make otherwise, up to a hundred images a call."""
    wanted = await json_body(request, ReprocessIn)
    return await run_in_threadpool(_reprocess, wanted, stages)


def _reprocess(wanted: ReprocessIn, stages: Stages) -> ReprocessOut:
    if wanted.ids is not None:
        if wanted.model_fields_set - {"ids", "dry_run"}:
            raise InvalidRequest("ids stands alone: leave the filters and the cursor out")
        done = stages.reprocess.these([ImageId.parse(one) for one in wanted.ids], dry_run=wanted.dry_run)
    else:
        sought = Filter(
            state=wanted.state,
            source=wanted.source,
            received_from=instant("received_from", wanted.received_from),
            received_to=instant("received_to", wanted.received_to),
            after=None if wanted.cursor is None else decode_cursor(wanted.cursor),
            limit=MOST_AT_ONCE,
        )
        done = stages.reprocess.page(sought, dry_run=wanted.dry_run)
    return ReprocessOut(
        examined=done.examined,
        outdated=done.outdated,
        reopened=done.reopened,
        next_cursor=None if done.next_after is None else encode_cursor(done.next_after),
    )
