"""The admin panel: checks, repairs, and the jobs that run them."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from solve_api.http.rate_limits import LimitKind
from solve_api.operations.bodies import Job, JobKind
from solve_api.pages.rendering import admin_page
from solve_api.routes.callers import InSession, OpenStores
from solve_projector.lag.backlog import COUNTED_MAX
from solve_runtime.sql import queries

DEAD_LETTERS_SQL = queries("solve_projector.store", "dead_letters")
PARKED_EVENTS_SQL = queries("solve_api.operations", "parked_events")

JOBS_SHOWN = 10
UPDATES_SHOWN = 500
POLL_MS = 5_000
KINDS: tuple[JobKind, ...] = ("backfill", "sync-leaderboard")
OTHER_DIFFERENCES = (
    *("verdicts", "solves", "removals", "problems", "search_keys", "parked_events", "dead_letters", "leaderboard"),
)
OTHER_LISTS = {
    "users_never_registered": "Users who never registered",
    "users_refused": "Users refused by PostgreSQL",
    "offsets_moved": "Offsets moved",
}

router = APIRouter(include_in_schema=False)


@router.api_route("/admin", methods=["GET", "HEAD"])
async def panel(request: Request, caller: InSession, stores: OpenStores) -> Response:
    """The overview, with buttons for checks and repairs."""
    jobs = await stores.jobs.overview(JOBS_SHOWN)
    parked = await stores.pool.fetchval(PARKED_EVENTS_SQL["open_parked"], COUNTED_MAX)
    dead_letters = await stores.pool.fetch(DEAD_LETTERS_SQL["open_dead_letters"], None, COUNTED_MAX)
    return admin_page(
        request,
        caller,
        "panel.html",
        poll_ms=POLL_MS,
        lag=await stores.lag.report(),
        dead_letters=[dict(row) for row in dead_letters],
        parked=parked,
        counted_max=COUNTED_MAX,
        jobs=jobs[:JOBS_SHOWN],
        checked={kind: next((one for one in jobs if one.kind == kind), None) for kind in KINDS},
        title_of=job_title,
    )


@router.post("/admin/jobs")
async def start(
    caller: InSession, stores: OpenStores, kind: Annotated[JobKind, Form()], dry_run: Annotated[bool, Form()] = False
) -> Response:
    """Starts a check or a repair, and leads to its page."""
    await stores.limits.spend(LimitKind.COSTLY, caller.name)
    job = await stores.jobs.start(kind, caller.actor, dry_run=dry_run)
    return RedirectResponse(f"/admin/jobs/{job.job_id}", 303)


@router.api_route("/admin/jobs/{job_id}", methods=["GET", "HEAD"])
async def job(request: Request, caller: InSession, stores: OpenStores, job_id: UUID) -> Response:
    """One job: its progress, then what it found and how to repair it."""
    state = await stores.jobs.state(job_id)
    running = state.state == "running"
    report = state.report or {}
    updates = report.get("updates") or []
    return admin_page(
        request,
        caller,
        "job.html",
        live={"url": f"/api/admin/jobs/{job_id}/events", "version": None} if running else None,
        job=state,
        phase=state.progress.get("phase", "starting"),
        done=state.progress.get("done", 0),
        total=state.progress.get("total", 0),
        title=job_title(state),
        report=report,
        updates=updates[:UPDATES_SHOWN],
        updates_hidden=max(0, report.get("users_updated", 0) - UPDATES_SHOWN),
        others=other_differences(report),
        repairable=state.dry_run and state.state == "done" and needs_repair(state),
    )


def needs_repair(job: Job) -> bool:
    """Whether a check found something that a repair would change."""
    report = job.report or {}
    return bool(report.get("drift")) or any(report.get(name) for name in ("added", "changed", "removed"))


def job_title(job: Job) -> str:
    """What a job does, as a title."""
    if job.kind == "backfill":
        return "Count check" if job.dry_run else "Count repair"
    return "Leaderboard check" if job.dry_run else "Leaderboard rebuild"


def other_differences(report: dict[str, Any]) -> list[tuple[str, int]]:
    """What else a replay found to differ, besides the counts of users."""
    found = [
        (f"{key.capitalize()}: {name}".replace("_", " "), number)
        for key in OTHER_DIFFERENCES
        for name, number in (report.get(key) or {}).items()
        if isinstance(number, int) and number
    ]
    if number := report.get("users_renamed_or_created"):
        found.append(("Users renamed or created", number))
    found += [(title, len(report[key])) for key, title in OTHER_LISTS.items() if report.get(key)]
    return found
