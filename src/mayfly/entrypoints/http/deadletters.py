"""The route of dead letters: what ended without having been processed."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from mayfly.entrypoints.http.access import authorize
from mayfly.entrypoints.http.errors import PRIVATE
from mayfly.entrypoints.http.parameters import instant, page_limit, refuse_unknown
from mayfly.entrypoints.http.shapes import DeadLettersOut, letter_out
from mayfly.entrypoints.http.stages import Stages, stages_of
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


def _partition(text: str | None) -> int | None:
    if text is None:
        return None
    if not _PARTITION.fullmatch(text) or int(text) > _LAST_PARTITION:
        raise InvalidRequest(f"partition is 0 to {_LAST_PARTITION}; got {text[:40]!r}")
    return int(text)
