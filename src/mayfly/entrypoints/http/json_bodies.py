"""JSON alone, where a page elsewhere must not be able to post: browsers send forms, plain text and nothing at all
across sites without asking; JSON they do not."""

from starlette.requests import Request
from starlette.responses import Response

from mayfly.entrypoints.http.errors import MEDIA_TYPE, problem_response


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


async def on_not_json(_: Request, __: Exception) -> Response:
    return problem_response(MEDIA_TYPE, "send Content-Type: application/json")


def _kind_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
