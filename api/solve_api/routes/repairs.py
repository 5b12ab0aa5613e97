"""Admin routes that repair data: the replay, the rebuild of the board, and the jobs that run them."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from solve_api.http.problems import problem_of
from solve_api.http.rate_limits import LimitKind
from solve_api.identity.actors import Caller
from solve_api.identity.tokens import Scope
from solve_api.operations import bodies
from solve_api.operations.job_streams import STREAMS_PER_ADMIN, JobStream
from solve_api.routes.callers import MayRead, OpenStores, require
from solve_api.routes.events import retry_ms
from solve_api.stores import Stores
from solve_runtime.http.problem import RETRY_LATER, Problem, problems

router = APIRouter(prefix="/api/admin", tags=["admin"], responses=problems(429))
MayRepair = Annotated[Caller, Depends(require(Scope.REPAIR))]
DryRun = Annotated[bool, Query(description="Report what would change without changing anything.")]
Prefer = Annotated[
    str | None, Header(max_length=200, description="`respond-async` to get 202 and a job (RFC 7240).", examples=[None])
]
ASYNC: dict[int | str, dict[str, Any]] = {
    202: {
        "model": bodies.Job,
        "description": "Accepted; the Location header is the job.",
        "content": {"application/json": {"example": bodies.JOB_RUNNING.model_dump(mode="json")}},
    },
    **problems(401, 403, 409, 422, 429, 503),
}


@router.post("/backfill-problems-solved", response_model=bodies.BackfillReport, responses=ASYNC)
async def backfill(caller: MayRepair, stores: OpenStores, dry_run: DryRun = False, prefer: Prefer = None) -> Response:
    """Replay the log: check every count and repair what differs, while projection continues."""
    return await _respond(caller, stores, "backfill", dry_run, prefer)


@router.post("/sync-leaderboard", response_model=bodies.SyncReport, responses=ASYNC)
async def sync_leaderboard(
    caller: MayRepair, stores: OpenStores, dry_run: DryRun = False, prefer: Prefer = None
) -> Response:
    """Rebuild the board in Redis from PostgreSQL. Readers see the old board until the new one replaces it."""
    return await _respond(caller, stores, "sync-leaderboard", dry_run, prefer)


@router.get("/jobs", response_model=bodies.JobList, responses=problems(401, 403, 422, 503))
async def jobs(_: MayRead, stores: OpenStores, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> bodies.JobList:
    """List the latest jobs of all processes."""
    return bodies.JobList(jobs=await stores.jobs.latest(limit))


@router.get("/jobs/{job_id}", response_model=bodies.Job, responses=problems(401, 403, 404, 422, 503))
async def job(_: MayRead, stores: OpenStores, job_id: UUID) -> bodies.Job:
    """Get the progress of a job, and its report once it is done."""
    return await stores.jobs.state(job_id)


async def job_stream(caller: MayRead, stores: OpenStores, job_id: UUID) -> AsyncIterator[JobStream]:
    """Opens a stream for as long as the response lasts."""
    first = await stores.jobs.state(job_id)
    if stores.job_streams.is_full_for(caller):
        raise Problem(
            429,
            "too-many-streams",
            "Too many open streams",
            f"You watch {STREAMS_PER_ADMIN} jobs already; close some pages or streams, or poll the job instead.",
            headers=RETRY_LATER,
        )
    with stores.job_streams.watching(caller, first) as stream:
        yield stream


def _event(name: str, job: bodies.Job, retry: int | None = None) -> ServerSentEvent:
    return ServerSentEvent(job.model_dump_json(), event=name, retry=retry)


def _example() -> str:
    events = (_event("progress", bodies.JOB_RUNNING), _event("end", bodies.JOB_DONE))
    return b"".join(event.encode() for event in events).decode().replace("\r\n", "\n")


@router.get(
    "/jobs/{job_id}/events",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Events, until the job ends.",
            "content": {"text/event-stream": {"example": _example()}},
        },
        **problems(401, 403, 404, 422, 503),
    },
)
async def watch(stream: Annotated[JobStream, Depends(job_stream)]) -> EventSourceResponse:
    """Watch a job: events `progress` until it ends, then one event `end`, each with the job as data.

    The stream also ends, without `end`, with the session or the token that opened it.
    """

    async def events() -> AsyncIterator[ServerSentEvent]:
        while (state := await stream.next()) is not None:
            if state.state != "running":
                yield _event("end", state)
                return
            yield _event("progress", state, retry_ms())

    return EventSourceResponse(events(), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


async def _respond(caller: Caller, stores: Stores, kind: bodies.JobKind, dry_run: bool, prefer: str | None) -> Response:
    await stores.limits.spend(LimitKind.COSTLY, caller.name)
    running = await stores.jobs.start(kind, caller.actor, dry_run=dry_run)
    if _asks_for_a_job(prefer):
        state = await stores.jobs.state(running.job_id)
        headers = {"Location": f"/api/admin/jobs/{running.job_id}", "Preference-Applied": "respond-async"}
        return Response(state.model_dump_json(), 202, headers, "application/json")
    await running.ended.wait()  # a client that disconnects does not stop it
    if running.error:
        raise problem_of(running.error)
    report = await stores.jobs.with_names(running.report or {})
    return JSONResponse(json.loads(json.dumps(report, default=str)), headers={"Cache-Control": "no-store"})


def _asks_for_a_job(prefer: str | None) -> bool:
    wishes = (prefer or "").replace(";", ",").split(",")
    return any(wish.strip().lower() == "respond-async" for wish in wishes)
