"""The second door's session with the owner: `mayfly consume` on the same machine."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from mayfly import __version__
from mayfly.entrypoints.http.json_bodies import whole_body
from mayfly.entrypoints.http.owner.operations import DURABLE, OF_MEMORY, answer
from mayfly.entrypoints.http.stages import Stages, stages_in, stages_of
from mayfly.intake.sessions import Session, Sessions
from mayfly.model.errors import Conflict, InvalidRequest
from mayfly.model.wire import terms_to_json

LARGEST_BYTES = 1024 * 1024
"""The longest request that is read: many operations, none of which carries an image's bytes."""
MOST_OPERATIONS = 256

_THREADS = 16

router = APIRouter()
TheStages = Annotated[Stages, Depends(stages_of)]


def make_pool() -> ThreadPoolExecutor:
    """Threads of the consumers' own: no upload over HTTP waits for them, nor they for one."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="sessions")


@router.post("/sessions", status_code=201)
async def open_session(request: Request, stages: TheStages) -> dict[str, Any]:
    """Begin a session: its name, and the terms under which it brings images in."""
    told = await _json(request)
    if told.get("version") != __version__:
        raise Conflict(f"the owner is Mayfly {__version__}; a consumer of it has to be of the same version")
    session = await run_in_threadpool(stages.sessions.open)
    return {"session": session.name, "terms": terms_to_json(session.terms), **_time(stages)}


@router.delete("/sessions/{name}", status_code=204)
def close_session(name: str, stages: TheStages) -> None:
    """End a session. An unknown one is no error."""
    stages.sessions.close(name)


# No shape is checked by the framework here: this is asked for every image, and both ends are of one version.
@router.route("/intake", methods=["POST"])
async def ask(request: Request) -> Response:
    """Answer the operations of a session: all of them, in their order, whatever became of each."""
    stages = stages_in(request)
    told = await _json(request)
    asked = told.get("operations")
    if not isinstance(asked, list) or len(asked) > MOST_OPERATIONS or not all(isinstance(one, dict) for one in asked):
        raise InvalidRequest(f"operations are a list of at most {MOST_OPERATIONS} objects")
    with stages.sessions.heard(str(told.get("session"))) as session:
        results = await _answers(stages.sessions, session, asked, request.app.state.pool)
    answered = {**_time(stages), "results": results}
    return Response(json.dumps(answered, separators=(",", ":")), media_type="application/json")


async def _answers(
    sessions: Sessions, session: Session, asked: list[dict[str, Any]], pool: ThreadPoolExecutor
) -> list[dict[str, Any]]:
    """In their order: those of memory at once, and in this one; reads in one thread; what waits for the disk at once,
    each in a thread of its own."""
    results: list[dict[str, Any]] = [{}] * len(asked)

    def act(numbers: list[int]) -> None:
        for number in numbers:
            results[number] = answer(sessions, session, asked[number])

    kinds = [one.get("op") for one in asked]
    act([number for number, kind in enumerate(kinds) if kind in OF_MEMORY])
    durable = [[number] for number, kind in enumerate(kinds) if kind in DURABLE]
    others = [number for number, kind in enumerate(kinds) if kind not in OF_MEMORY and kind not in DURABLE]
    parts = [*durable, others] if others else durable
    if parts:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(pool, act, part) for part in parts))
    return results


def _time(stages: Stages) -> dict[str, Any]:
    now = stages.clock.now()
    return {"now": now, "held": stages.clock.held()}


async def _json(request: Request) -> dict[str, Any]:
    body = await whole_body(request, LARGEST_BYTES)
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequest("the body does not read as JSON") from None
    if not isinstance(told, dict):
        raise InvalidRequest("the body is no JSON object")
    return told
