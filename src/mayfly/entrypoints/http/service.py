"""Routes about the server itself: health, readiness, limits, sweeps, the clock."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from mayfly.entrypoints.http.access import authorize
from mayfly.entrypoints.http.errors import (
    ALL_PROBLEMS,
    NO_ROUTE,
    STARTING,
    problem_response,
    respond,
)
from mayfly.entrypoints.http.json_bodies import json_only
from mayfly.entrypoints.http.shapes import LimitsOut, SweepRunOut, SweptOut
from mayfly.entrypoints.http.stages import Stages, stages_of
from mayfly.model.errors import ClockHeld, Misconfigured
from mayfly.model.instant import minute_label, rfc3339
from mayfly.model.principal import Principal

router = APIRouter(tags=["service"])

Caller = Annotated[Principal, Depends(authorize)]
TheStages = Annotated[Stages, Depends(stages_of)]


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz")
def readyz(stages: TheStages) -> Response:
    """Ready once everything that fell due while the server was off is purged, and while the clock is believed."""
    try:
        held = stages.clock.held()
    except OSError as fault:
        raise Misconfigured(f"the clock's file cannot be read: {fault.strerror}") from None
    if held:
        return respond(ClockHeld("wall time jumped: confirm it with `mayfly clock confirm` once it is right"))
    if stages.readiness.starting:
        return problem_response(STARTING, "what fell due while the server was off is being purged")
    last = stages.readiness.last_sweep_at
    return JSONResponse({"status": "ready", "last_sweep_at": None if last is None else rfc3339(last)})


@router.head("/metrics", include_in_schema=False)
@router.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request, _: Caller, stages: TheStages) -> Response:
    """Figures for Prometheus."""
    page, content_type = stages.exposition(request.headers.get("accept", ""))
    # As it is: given as a media type it would get a second charset.
    return Response(page, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


@router.head("/v1/limits", include_in_schema=False)
@router.get("/v1/limits", response_model=LimitsOut)
def limits(_: Caller, stages: TheStages) -> LimitsOut:
    """What one request may carry."""
    return LimitsOut(direct_bytes=stages.uploads.limits.max_bytes, response_bytes=None)


@router.post("/v1/sweeps", response_model=SweepRunOut, dependencies=[Depends(json_only)])
def sweep(_: Caller, stages: TheStages) -> SweepRunOut:
    """Destroy now what is due, then remove what is orphaned."""
    run = stages.sweep.run()
    reconciled = stages.reconcile.run()
    return SweepRunOut(
        through=minute_label(run.through),
        keys_destroyed=run.keys,
        swept=[
            SweptOut(
                minute=minute_label(swept.minute),
                originals=swept.objects.originals,
                renditions=swept.objects.renditions,
                bytes=swept.objects.size,
                records=swept.records.http + swept.records.kafka,
                lag_ms=swept.lag_ms,
            )
            for swept in run.swept
        ],
        unverified=[minute_label(swept.minute) for swept in run.unverified],
        orphans=reconciled.orphans,
    )


@router.post("/v1/clock/confirm", dependencies=[Depends(json_only)])
def confirm_clock(_: Caller, stages: TheStages) -> dict[str, Any]:
    """Say that the time is right after a jump: what is due by it is destroyed from here on."""
    stages.clock.confirm()
    return {"now": rfc3339(stages.clock.now())}


@router.get("/problems/{slug}", include_in_schema=False)
def problem(slug: str) -> Response:
    """What a problem document's `type` points to."""
    for known in ALL_PROBLEMS:
        if known.slug == slug:
            return JSONResponse({"slug": slug, "status": known.status, "title": known.title})
    return problem_response(NO_ROUTE, "there is no such problem type")
