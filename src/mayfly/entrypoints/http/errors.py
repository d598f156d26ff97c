"""Errors as RFC 9457 problem details. This table alone gives the errors of the model their HTTP meaning."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from mayfly.journal import journal
from mayfly.model import errors

PRIVATE: Mapping[str, str] = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
"""On every response about an image: nobody between us and the reader may keep a copy."""

ANSWERED_PROBLEM = "mayfly.problem"
"""Where a request's scope holds the slug of the problem it was answered with."""


@dataclass(frozen=True, slots=True)
class Problem:
    """`retry_after` is seconds."""

    status: int
    slug: str
    title: str
    retry_after: int | None = None


TABLE: Mapping[type[errors.MayflyError], Problem] = {
    errors.InvalidRequest: Problem(400, "invalid-request", "The request is malformed"),
    errors.EmptyBody: Problem(400, "empty-body", "The body is empty"),
    errors.BodyCut: Problem(400, "body-cut", "The body ended early"),
    errors.TooLarge: Problem(413, "too-large", "The image is too large"),
    errors.UnknownType: Problem(415, "unknown-type", "The bytes are no image type we take"),
    errors.TypeMismatch: Problem(415, "type-mismatch", "The bytes are of another type than declared"),
    errors.TooManyPixels: Problem(422, "too-many-pixels", "The image has too many pixels"),
    errors.IdempotencyReused: Problem(422, "idempotency-reused", "The Idempotency-Key was used with other bytes"),
    errors.FormTooSmall: Problem(400, "entity-too-small", "The file is smaller than its form asks for"),
    errors.FormTooLarge: Problem(400, "entity-too-large", "The file is larger than its form allows"),
    errors.Refused: Problem(400, "refused", "The request was refused"),
    errors.Unauthenticated: Problem(401, "unauthenticated", "A token is needed"),
    errors.Denied: Problem(403, "denied", "You may not do this"),
    errors.FormRefused: Problem(403, "form-refused", "The form is not as it was issued"),
    errors.FormExpired: Problem(403, "form-expired", "The form's time is over"),
    errors.InFlight: Problem(409, "in-flight", "The same request is under way", retry_after=1),
    errors.NotFound: Problem(404, "not-found", "There is no such thing"),
    errors.Gone: Problem(410, "gone", "The image is gone"),
    errors.Conflict: Problem(409, "conflict", "The image's state does not allow this"),
    errors.StorageFull: Problem(503, "storage-full", "There is no room", retry_after=60),
    errors.Busy: Problem(503, "busy", "Too much is under way", retry_after=1),
    errors.ClockHeld: Problem(503, "clock-held", "The clock jumped and waits to be confirmed", retry_after=60),
    errors.Unavailable: Problem(503, "unavailable", "Not now", retry_after=5),
    errors.Misconfigured: Problem(503, "misconfigured", "A setting or a file of ours is at fault", retry_after=60),
    errors.MayflyError: Problem(500, "internal", "Something is wrong on our side"),
}

STARTING = Problem(503, "starting", "The server is still purging what fell due while it was off", retry_after=1)
UNSATISFIABLE_RANGE = Problem(416, "range-not-satisfiable", "The range lies outside the image")
NO_ROUTE = Problem(404, "no-route", "There is no such route")
WRONG_METHOD = Problem(405, "wrong-method", "The route does not take this method")
MALFORMED_HTTP = Problem(400, "malformed-http", "This is no HTTP that can be relied on")
HEAD_TOO_LARGE = Problem(431, "head-too-large", "The head of the request is too large")
MEDIA_TYPE = Problem(415, "json-only", "The route takes application/json")
INTERNAL = TABLE[errors.MayflyError]

ALL_PROBLEMS = (
    *TABLE.values(),
    STARTING,
    UNSATISFIABLE_RANGE,
    NO_ROUTE,
    WRONG_METHOD,
    MALFORMED_HTTP,
    HEAD_TOO_LARGE,
    MEDIA_TYPE,
)


def problem_of(fault: errors.MayflyError) -> Problem:
    """The nearest entry up the error's own ancestry."""
    for ancestor in type(fault).__mro__:
        if ancestor in TABLE:
            return TABLE[ancestor]
    return INTERNAL


class ProblemResponse(JSONResponse):
    """Leaves its slug in the request's scope, for whoever counts."""

    def __init__(self, slug: str, content: Mapping[str, Any], status_code: int, headers: Mapping[str, str]) -> None:
        super().__init__(content, status_code, headers, media_type="application/problem+json")
        self._slug = slug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ANSWERED_PROBLEM] = self._slug
        await super().__call__(scope, receive, send)


def problem_response(problem: Problem, detail: str, headers: Mapping[str, str] | None = None) -> ProblemResponse:
    extra = {**PRIVATE, **(headers or {})}
    if problem.retry_after is not None:
        extra["Retry-After"] = str(problem.retry_after)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        extra["WWW-Authenticate"] = "Bearer"
    return ProblemResponse(
        problem.slug,
        {
            "type": f"/problems/{problem.slug}",
            "title": problem.title,
            "status": problem.status,
            "detail": detail,
        },
        status_code=problem.status,
        headers=extra,
    )


def respond(fault: errors.MayflyError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    problem = problem_of(fault)
    # What is wrong on our side may name files; the log has it, the caller does not need it.
    detail = str(fault) if problem is not INTERNAL else "the server's log says more"
    return problem_response(problem, detail, headers)


def tell_internal(fault: Exception) -> None:
    """Leave in the log what the answer keeps to itself. No error's text holds a personal field."""
    journal("internal", reason=f"{type(fault).__name__}: {fault}")


async def on_mayfly_error(_: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, errors.MayflyError)
    if problem_of(fault) is INTERNAL:
        tell_internal(fault)
    return respond(fault)
