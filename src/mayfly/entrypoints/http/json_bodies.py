"""JSON alone, where a page elsewhere must not be able to post: browsers send forms, plain text and nothing at all
across sites without asking; JSON they do not."""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from mayfly.entrypoints.http.errors import MEDIA_TYPE, problem_response
from mayfly.entrypoints.http.upload import body_of
from mayfly.model.errors import InvalidRequest

LARGEST_BYTES = 16 * 1024
"""The longest JSON body that is read."""

Shape = TypeVar("Shape", bound=BaseModel)


class NotJson(Exception):
    """A JSON route was sent something else."""


def json_only(request: Request) -> None:
    """Raises NotJson unless the request says that it is JSON."""
    if _kind_of(request) != "application/json":
        raise NotJson


def json_or_nothing(request: Request) -> None:
    """Raises NotJson where there is a body, or a content type, and it is not JSON."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if has_body or _kind_of(request):
        json_only(request)


async def json_body(request: Request, shape: type[Shape]) -> Shape:
    """The body, as JSON of that shape.

    Raises:
        NotJson: the request does not say that it is JSON.
        InvalidRequest: it is none, or too long, or of another shape.
        BodyCut: it ended early.
    """
    json_only(request)
    body = await whole_body(request, LARGEST_BYTES)
    try:
        document = json.loads(body)
        # A lone surrogate, which JSON can escape, is half a character: nothing that stores or compares text takes it.
        json.dumps(document, ensure_ascii=False).encode()
        return shape.model_validate(document)
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:80] or "the body"
        raise InvalidRequest(f"{where}: {first['msg']}") from None
    except (ValueError, RecursionError):
        raise InvalidRequest("the body does not read as JSON") from None


async def whole_body(request: Request, most: int) -> bytearray:
    """The body, read no further than `most` bytes.

    Raises:
        InvalidRequest: it is longer.
        BodyCut: it ended early.
    """
    body = bytearray()
    async for chunk in body_of(request):
        body += chunk
        if len(body) > most:
            raise InvalidRequest(f"the body is longer than {most} bytes")
    return body


async def on_not_json(_: Request, __: Exception) -> Response:
    return problem_response(MEDIA_TYPE, "send Content-Type: application/json")


def _kind_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
