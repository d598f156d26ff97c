"""Counts requests: the outermost layer, so that what the guard refuses counts, too."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mayfly.entrypoints.http.errors import ANSWERED_PROBLEM
from mayfly.entrypoints.http.ranges import ResponseCut
from mayfly.metrics.http import HttpFigures


class Meter:
    def __init__(self, app: ASGIApp, figures: HttpFigures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status: int | None = None

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        self._figures.begun()
        try:
            await self._app(scope, receive, noting)
        except Exception as fault:
            if status is None and not isinstance(fault, ResponseCut):
                status = 500  # what nobody foresaw is answered further out
            raise
        finally:
            # The route's template is there once it was found; a path would be a label without end.
            route = getattr(scope.get("route"), "path", None)
            elapsed = time.perf_counter() - began
            self._figures.ended(scope["method"], route, status, elapsed, scope.get(ANSWERED_PROBLEM))
