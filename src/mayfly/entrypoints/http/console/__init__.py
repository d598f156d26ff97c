"""The console: one page for people, over the same API as everybody's."""

from collections.abc import Mapping
from importlib import resources

from fastapi import APIRouter, Response

router = APIRouter(include_in_schema=False)

_SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_TYPES = {"index.html": "text/html", "console.css": "text/css", "console.js": "text/javascript"}


def _asset(name: str) -> Response:
    content = resources.files(__package__).joinpath(name).read_bytes()
    return Response(content, media_type=_TYPES[name], headers=dict(_SECURITY))


@router.get("/")
def page() -> Response:
    """The page."""
    return _asset("index.html")


@router.get("/console.css")
def style() -> Response:
    """Its looks."""
    return _asset("console.css")


@router.get("/console.js")
def script() -> Response:
    """What it does."""
    return _asset("console.js")
