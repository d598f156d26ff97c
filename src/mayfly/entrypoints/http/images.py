"""The routes of images."""

from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from mayfly.entrypoints.http.access import authorize
from mayfly.entrypoints.http.errors import PRIVATE
from mayfly.entrypoints.http.json_bodies import json_or_nothing
from mayfly.entrypoints.http.parameters import instant, page_limit, refuse_unknown
from mayfly.entrypoints.http.ranges import picture_response, wanted_range
from mayfly.entrypoints.http.shapes import ImageOut, PageOut, image_out, listed
from mayfly.entrypoints.http.stages import Stages, stages_of
from mayfly.entrypoints.http.upload import receive_upload
from mayfly.model.errors import InvalidRequest
from mayfly.model.identity import ImageId
from mayfly.model.image import Source
from mayfly.model.lifecycle import State
from mayfly.model.listing import LARGEST_PAGE, Filter, decode_cursor, encode_cursor
from mayfly.model.principal import Principal

router = APIRouter(prefix="/v1/images", tags=["images"])

Caller = Annotated[Principal, Depends(authorize)]
TheStages = Annotated[Stages, Depends(stages_of)]

Choice = TypeVar("Choice", State, Source)

_LISTABLE = frozenset({"state", "source", "received_from", "received_to", "limit", "cursor"})
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "retain": {"type": "string"},
                        "file": {"type": "string", "format": "binary", "description": "The last part."},
                    },
                }
            },
        },
    },
    "parameters": [
        {"name": "retain", "in": "query", "schema": {"type": "string"}, "description": "ISO 8601, shorter only."},
        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}},
    ],
}


@router.post("", status_code=201, response_model=ImageOut, openapi_extra=_BODY)
async def upload(request: Request, response: Response, caller: Caller, stages: TheStages) -> ImageOut:
    """Take one image in. 201 when it is durable; 200 when the same Idempotency-Key had brought it before."""
    # The birth of an image is the start of its request.
    birth = stages.clock.now()
    received = await receive_upload(request, stages.uploads, caller, birth)
    response.status_code = 201 if received.created else 200
    response.headers["Location"] = f"/v1/images/{received.record.id}"
    response.headers.update(PRIVATE)
    return image_out(received.record, received.personal)


@router.head("", include_in_schema=False)
@router.get("", response_model=PageOut)
def list_images(
    request: Request,
    response: Response,
    _: Caller,
    stages: TheStages,
    state: str | None = None,
    source: str | None = None,
    received_from: str | None = None,
    received_to: str | None = None,
    limit: Annotated[str, Query(description=f"1 to {LARGEST_PAGE}")] = "50",
    cursor: str | None = None,
) -> PageOut:
    """Living images, newest first."""
    refuse_unknown(set(request.query_params), _LISTABLE)
    wanted = Filter(
        state=_one_of(State, "state", state),
        source=_one_of(Source, "source", source),
        received_from=instant("received_from", received_from),
        received_to=instant("received_to", received_to),
        after=None if cursor is None else decode_cursor(cursor),
        limit=page_limit(limit),
    )
    page = stages.find.many(wanted)
    response.headers.update(PRIVATE)
    return PageOut(
        items=[listed(record) for record in page.records],
        next_cursor=None if page.next_after is None else encode_cursor(page.next_after),
    )


@router.head("/{image_id}", include_in_schema=False)
@router.get("/{image_id}", response_model=ImageOut)
def get_image(image_id: str, response: Response, _: Caller, stages: TheStages) -> ImageOut:
    """One image and its facts."""
    found = stages.find.one(ImageId.parse(image_id))
    response.headers.update(PRIVATE)
    return image_out(found.record, found.personal)


@router.head("/{image_id}/original", include_in_schema=False)
@router.get("/{image_id}/original", response_class=Response)
async def get_original(request: Request, image_id: str, _: Caller, stages: TheStages) -> Response:
    """The bytes as received."""
    opened = await run_in_threadpool(stages.open.original, ImageId.parse(image_id))
    return picture_response(opened, wanted_range(request))


@router.head("/{image_id}/renditions/{name}", include_in_schema=False)
@router.get("/{image_id}/renditions/{name}", response_class=Response)
async def get_rendition(request: Request, image_id: str, name: str, _: Caller, stages: TheStages) -> Response:
    """One rendition."""
    opened = await run_in_threadpool(stages.open.rendition, ImageId.parse(image_id), name)
    return picture_response(opened, wanted_range(request))


@router.delete("/{image_id}", status_code=204)
def erase(image_id: str, _: Caller, stages: TheStages) -> Response:
    """Erase early: bytes and record go at once, and the id answers 410 until it would have died anyway."""
    stages.erasure.erase(ImageId.parse(image_id))
    return Response(status_code=204, headers=dict(PRIVATE))


@router.post("/{image_id}/retry", status_code=202, response_model=ImageOut, dependencies=[Depends(json_or_nothing)])
def retry(image_id: str, response: Response, _: Caller, stages: TheStages) -> ImageOut:
    """Process a failed image again."""
    identity = ImageId.parse(image_id)
    stages.find.retry(identity)
    found = stages.find.one(identity)
    response.headers.update(PRIVATE)
    return image_out(found.record, found.personal)


def _one_of(kind: type[Choice], name: str, text: str | None) -> Choice | None:
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise InvalidRequest(f"{name} is one of {', '.join(kind)}; got {text[:40]!r}") from None
