"""The owner's own application. What is asked here has no route on the network, whatever a request says of itself: the
listener decides. Who may open the socket may ask everything; it lies where all the data lies."""

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mayfly.entrypoints.http.errors import INTERNAL, NO_ROUTE, on_mayfly_error, problem_response, tell_internal
from mayfly.entrypoints.http.json_bodies import NotJson, on_not_json
from mayfly.entrypoints.http.owner import intake, tokens
from mayfly.entrypoints.http.stages import Stages
from mayfly.model.errors import MayflyError

ROUTERS = (intake.router, tokens.router)


def create_owner_app(stages: Stages) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.stages = stages
    app.state.pool = intake.make_pool()
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(MayflyError, on_mayfly_error)
    app.add_exception_handler(NotJson, on_not_json)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unforeseen)
    return app


async def _on_http_error(_: Request, __: Exception) -> Response:
    return problem_response(NO_ROUTE, "the owner is not asked this; the two may be of different versions of Mayfly")


async def _on_unforeseen(_: Request, fault: Exception) -> Response:
    tell_internal(fault)
    return problem_response(INTERNAL, "the server's log says more")
