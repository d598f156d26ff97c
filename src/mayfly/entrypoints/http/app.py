"""The application: routes, the guard before them, the errors table behind them."""

from typing import cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from mayfly import __version__
from mayfly.entrypoints.http import console, deadletters, events, images, me, reprocess, service, session, uploads
from mayfly.entrypoints.http.access import Guard
from mayfly.entrypoints.http.errors import (
    INTERNAL,
    NO_ROUTE,
    TABLE,
    WRONG_METHOD,
    on_mayfly_error,
    problem_response,
    tell_internal,
)
from mayfly.entrypoints.http.json_bodies import NotJson, on_not_json
from mayfly.entrypoints.http.meter import Meter
from mayfly.entrypoints.http.origin import LOOPBACK, Reach
from mayfly.entrypoints.http.ranges import ResponseCut
from mayfly.entrypoints.http.stages import Stages
from mayfly.metrics.http import HttpFigures
from mayfly.model.errors import InvalidRequest, MayflyError

ROUTERS = (
    images.router,
    events.router,
    uploads.router,
    reprocess.router,
    deadletters.router,
    service.router,
    session.router,
    me.router,
    console.router,
)
"""Every route there is, but `/openapi.json`, which is made from them."""


def create_app(stages: Stages, reach: Reach = LOOPBACK, figures: HttpFigures | None = None) -> FastAPI:
    app = FastAPI(
        title="Mayfly",
        version=__version__,
        description="Images that live seven days, and provably no longer.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.stages = stages
    app.state.reach = reach
    app.state.sessions = session.Sessions()
    app.add_middleware(Guard, reach=reach)
    if figures is not None:
        app.add_middleware(Meter, figures=figures)
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(MayflyError, on_mayfly_error)
    app.add_exception_handler(NotJson, on_not_json)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_unforeseen)
    return app


async def _on_http_error(request: Request, fault: Exception) -> Response:
    fault = cast("HTTPException", fault)
    if fault.status_code == WRONG_METHOD.status:
        allowed = ", ".join(_methods_at(request))
        detail = f"{request.method} is not for this route; it takes {allowed}"
        return problem_response(WRONG_METHOD, detail, {"Allow": allowed})
    return problem_response(NO_ROUTE, "see /openapi.json for the routes there are")


def _methods_at(request: Request) -> list[str]:
    """Every method this path takes. (The framework names those of one route alone.)"""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    here = [route for route in routes if route.path_regex.match(request.url.path)]
    return sorted({method for route in here for method in route.methods or ()})


async def _on_invalid(_: Request, fault: Exception) -> Response:
    first = cast("RequestValidationError", fault).errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return problem_response(TABLE[InvalidRequest], f"{where}: {first['msg']}")


async def _on_unforeseen(_: Request, fault: Exception) -> Response:
    if isinstance(fault, ResponseCut):
        raise fault
    tell_internal(fault)
    return problem_response(INTERNAL, "the server's log says more")
