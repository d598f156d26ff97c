"""The route of the stream of events."""

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from mayfly.entrypoints.http.access import authorize, principal_of
from mayfly.entrypoints.http.errors import PRIVATE
from mayfly.entrypoints.http.protocol import abort
from mayfly.entrypoints.http.stages import Stages, stages_of
from mayfly.entrypoints.http.streams import Beginning, EventStreams, beginning
from mayfly.model.errors import InvalidRequest, MayflyError
from mayfly.model.event import TOLD
from mayfly.model.lifecycle import State
from mayfly.model.principal import Principal

router = APIRouter(tags=["events"])

Caller = Annotated[Principal, Depends(authorize)]
TheStages = Annotated[Stages, Depends(stages_of)]

_MEDIA_TYPE = "text/event-stream"
_SENT = "A message for each event: its id, its state as the message's type, one line of JSON."
_SEQUENCE = re.compile(r"[0-9]{1,18}")
_TAKEN = frozenset({"state"})
_HEADERS = {**PRIVATE, "X-Accel-Buffering": "no"}
"""The last one is for proxies of nginx's kind, which would gather what is to come at once."""


class EventResponse(StreamingResponse):
    """One stream; it holds its place from the first byte to the last."""

    media_type = _MEDIA_TYPE

    def __init__(
        self, streams: EventStreams, begin: Beginning, states: frozenset[State], welcome: Callable[[], bool]
    ) -> None:
        super().__init__(streams.messages(begin, states, welcome), headers=_HEADERS)
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.joined(partial(abort, scope)):
            await super().__call__(scope, receive, send)


@router.head("/v1/events", include_in_schema=False)
@router.get(
    "/v1/events",
    response_class=StreamingResponse,
    responses={200: {"content": {_MEDIA_TYPE: {}}, "description": _SENT}},
)
async def events(
    request: Request,
    _: Caller,
    stages: TheStages,
    state: Annotated[list[str] | None, Query(description=f"Only these: {', '.join(TOLD)}.")] = None,
    last_event_id: Annotated[str | None, Header(description="The id of the last event that was seen.")] = None,
) -> Response:
    """What happens to images, as it happens: server-sent events."""
    unknown = sorted(set(request.query_params) - _TAKEN)
    if unknown:
        raise InvalidRequest(f"{unknown[0][:40]!r} is no filter; there is {', '.join(sorted(_TAKEN))}")
    states = _states(state or [])
    begin = await run_in_threadpool(beginning, stages.events.log, _sequence(last_event_id))
    if request.method == "HEAD":
        return Response(headers=_HEADERS, media_type=_MEDIA_TYPE)
    return EventResponse(stages.events, begin, states, partial(_welcome, request))


def _welcome(request: Request) -> bool:
    """Whether the token, or the session, that the stream was opened with still lives."""
    try:
        principal_of(request)
    except MayflyError:
        return False
    return True


def _states(texts: list[str]) -> frozenset[State]:
    for text in texts:
        if text not in TOLD:
            raise InvalidRequest(f"state is one of {', '.join(TOLD)}; got {text[:40]!r}")
    return frozenset(map(State, texts)) or frozenset(TOLD)


def _sequence(text: str | None) -> int | None:
    """An empty id is what a browser sends that has seen none."""
    if not text:
        return None
    if not _SEQUENCE.fullmatch(text):
        raise InvalidRequest("Last-Event-ID is the id of an event of this stream, or left away")
    return int(text)
