"""The routes of dead letters: what ended without having been processed, and its way back."""

import re
from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from mayfly.entrypoints.http.access import authorize
from mayfly.entrypoints.http.errors import PRIVATE
from mayfly.entrypoints.http.json_bodies import json_body
from mayfly.entrypoints.http.parameters import instant, page_limit, refuse_unknown
from mayfly.entrypoints.http.shapes import DeadLettersOut, RedrivenOut, RedriveOut, letter_out
from mayfly.entrypoints.http.stages import Stages, stages_of
from mayfly.intake.redrive import Redriven, Result
from mayfly.model.errors import InvalidRequest
from mayfly.model.listing import LARGEST_PAGE, decode_letter_cursor, encode_letter_cursor
from mayfly.model.principal import Principal
from mayfly.ports.dead_letters import LettersWanted

router = APIRouter(prefix="/v1/deadletters", tags=["dead letters"])

Caller = Annotated[Principal, Depends(authorize)]
TheStages = Annotated[Stages, Depends(stages_of)]

_LISTABLE = frozenset({"reason", "topic", "partition", "died_from", "died_to", "limit", "cursor"})
_PARTITION = re.compile(r"[0-9]{1,10}")
_LAST_PARTITION = 2**31 - 1
"""Kafka's protocol counts partitions in 32 bits."""


class RedriveIn(BaseModel):
    """Which letters; without a filter, all."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reason: str | None = None
    topic: str | None = None
    partition: int | None = Field(default=None, ge=0, le=_LAST_PARTITION)
    died_from: str | None = Field(default=None, description="Died at or after, RFC 3339.")
    died_to: str | None = Field(default=None, description="Died before, RFC 3339.")
    limit: int = Field(default=50, ge=1, le=LARGEST_PAGE, description="Letters a call.")
    cursor: str | None = Field(default=None, description="`next_cursor` of the answer before, unchanged.")
    dry_run: bool = Field(default=False, description="Only tell what would become of each.")
    force: bool = Field(default=False, description="Those, too, that came back too often.")


_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": RedriveIn.model_json_schema()}}}}


@router.head("", include_in_schema=False)
@router.get("", response_model=DeadLettersOut)
def list_dead_letters(
    request: Request,
    response: Response,
    _: Caller,
    stages: TheStages,
    reason: str | None = None,
    topic: str | None = None,
    partition: str | None = None,
    died_from: str | None = None,
    died_to: str | None = None,
    limit: Annotated[str, Query(description=f"1 to {LARGEST_PAGE}")] = "50",
    cursor: str | None = None,
) -> DeadLettersOut:
    """Open dead letters, by key."""
    refuse_unknown(set(request.query_params), _LISTABLE)
    wanted = LettersWanted(
        reason=reason,
        topic=topic,
        partition=_partition(partition),
        died_from=instant("died_from", died_from),
        died_to=instant("died_to", died_to),
        limit=page_limit(limit),
        after=None if cursor is None else decode_letter_cursor(cursor),
    )
    page = stages.letters.page(wanted)
    response.headers.update(PRIVATE)
    return DeadLettersOut(
        items=[letter_out(letter) for letter in page.letters],
        next_cursor=None if page.next_after is None else encode_letter_cursor(page.next_after),
    )


@router.post("/redrive", response_model=RedriveOut, openapi_extra=_BODY)
async def redrive(request: Request, response: Response, _: Caller, stages: TheStages) -> RedriveOut:
    """Give what died another chance, up to 200 letters a call. Nothing lives longer by it."""
    wish = await json_body(request, RedriveIn)
    wanted = LettersWanted(
        reason=wish.reason,
        topic=wish.topic,
        partition=wish.partition,
        died_from=instant("died_from", wish.died_from),
        died_to=instant("died_to", wish.died_to),
        limit=wish.limit,
        after=None if wish.cursor is None else decode_letter_cursor(wish.cursor),
    )
    done = await run_in_threadpool(stages.redrive.run, wanted, dry_run=wish.dry_run, force=wish.force)
    response.headers.update(PRIVATE)
    return _told(done, wanted)


def _told(done: list[Redriven], wanted: LettersWanted) -> RedriveOut:
    counts = Counter(one.result for one in done)
    return RedriveOut(
        results=[
            RedrivenOut(
                key=one.letter.key,
                image_id=None if one.letter.image_id is None else str(one.letter.image_id),
                result=one.result.value,
                reason=one.reason,
            )
            for one in done
        ],
        counts={result.value: counts[result] for result in Result},
        next_cursor=encode_letter_cursor(done[-1].letter.key) if len(done) == wanted.limit else None,
    )


def _partition(text: str | None) -> int | None:
    if text is None:
        return None
    if not _PARTITION.fullmatch(text) or int(text) > _LAST_PARTITION:
        raise InvalidRequest(f"partition is 0 to {_LAST_PARTITION}; got {text[:40]!r}")
    return int(text)
