"""Direct uploads: the route that issues a form, and the one that takes its file, as S3 would."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from mayfly.entrypoints.http.access import authorize
from mayfly.entrypoints.http.errors import PRIVATE, problem_of
from mayfly.entrypoints.http.json_bodies import json_body
from mayfly.entrypoints.http.multipart import MAX_OVERHEAD_BYTES, Event, Field, FileData, FileStart, UploadForm
from mayfly.entrypoints.http.origin import origin_of
from mayfly.entrypoints.http.shapes import FormIn, FormOut
from mayfly.entrypoints.http.stages import Stages, stages_of
from mayfly.entrypoints.http.upload import body_of
from mayfly.intake.admit import Arrival, Forms, Wanted
from mayfly.intake.file_name import safe_name
from mayfly.model.errors import FormTooLarge, InvalidRequest, MayflyError
from mayfly.model.image import ImageRecord, Source
from mayfly.model.instant import rfc3339
from mayfly.model.principal import Principal
from mayfly.model.retention import Retention

FORM_PATH = "/v1/uploads/form"

router = APIRouter(tags=["uploads"])

Caller = Annotated[Principal, Depends(authorize)]
TheStages = Annotated[Stages, Depends(stages_of)]

_ASKED = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": FormIn.model_json_schema()}}},
}
_POSTED = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["key", "policy", "x-amz-signature", "file"],
                    "properties": {
                        "key": {"type": "string"},
                        "policy": {"type": "string"},
                        "x-amz-signature": {"type": "string"},
                        "file": {"type": "string", "format": "binary", "description": "The last part."},
                    },
                    "additionalProperties": {"type": "string"},
                }
            }
        },
    }
}


@router.post("/v1/uploads", status_code=201, response_model=FormOut, openapi_extra=_ASKED)
async def issue_form(request: Request, response: Response, caller: Caller, stages: TheStages) -> FormOut:
    """Issue a form by which one image's file may be posted, by whoever holds the form."""
    asked = await json_body(request, FormIn)
    wanted = Wanted(
        media_type=asked.media_type,
        uploader=caller.name,
        size=asked.bytes,
        file_name=None if asked.file_name is None else safe_name(asked.file_name),
        retain=None if asked.retain is None else Retention.parse(asked.retain),
        labels=asked.labels,
    )
    form = await run_in_threadpool(stages.forms.issue, wanted)
    response.headers["Location"] = f"/v1/images/{form.record.id}"
    response.headers.update(PRIVATE)
    return FormOut(
        id=str(form.record.id),
        url=origin_of(request) + FORM_PATH,
        fields=form.fields,
        form_expires_at=rfc3339(form.expires_at),
    )


@router.post(FORM_PATH, status_code=204, openapi_extra=_POSTED)
async def take_form(request: Request, stages: TheStages) -> Response:
    """Take a form's file. Its signature is all the authority there is."""
    record = await _receive(request, stages.forms)
    return Response(status_code=204, headers={**PRIVATE, "Location": f"/v1/images/{record.id}"})


async def _receive(request: Request, forms: Forms) -> ImageRecord:
    """Receive one form's file from the body. Whatever is raised, nothing is kept."""
    post = _Post(forms)
    try:
        _refuse_by_length(request, forms.limits.max_bytes)
        form = UploadForm(request.headers.get("content-type", ""))
        async for chunk in body_of(request):
            for event in form.feed(chunk):
                await post.take(event)
        form.finish()
        return await post.finish()
    except MayflyError as fault:
        forms.intake.journal("refused", source=Source.HTTP, reason=problem_of(fault).slug)
        raise
    except asyncio.CancelledError:
        # The server stops. Not in a thread: waiting for one would be cancelled, too.
        post.abort_now()
        raise
    finally:
        await post.abort()


class _Post:
    """One form as it comes in: fields, which have to hold before the first byte of the file is looked at."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms
        self._fields: list[tuple[str, str]] = []
        self._arrival: Arrival | None = None

    async def take(self, event: Event) -> None:
        match event:
            case Field(name, value):
                self._fields.append((name, value))
            case FileStart(file_name, _):
                # The type that counts is the form's own, which is signed; the part's is the sender's guess.
                self._arrival = await run_in_threadpool(self._forms.open, self._fields, file_name)
            case FileData(data):
                assert self._arrival is not None
                self._arrival.feed(data)

    async def finish(self) -> ImageRecord:
        if self._arrival is None:
            raise InvalidRequest("the form has no part named 'file': post the file as one, after the fields")
        arrival, self._arrival = self._arrival, None
        return await run_in_threadpool(arrival.finish)

    async def abort(self) -> None:
        if self._arrival is not None:
            await run_in_threadpool(self.abort_now)

    def abort_now(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.abort()


def _refuse_by_length(request: Request, max_bytes: int) -> None:
    """Refuse by what the header declares, before the body is read."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes + MAX_OVERHEAD_BYTES:
        raise FormTooLarge(f"an image is at most {max_bytes} bytes; this form declares {declared[:20]}")
