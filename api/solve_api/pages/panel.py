"""What does an admin see first, and how do they repair? Checks, repairs, and the jobs that they run as."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from solve_api.http.public import public
from solve_api.identity.authentication import Caller, require_session
from solve_api.operations.jobs import JobState, Kind
from solve_api.operations.repairs import begin
from solve_api.pages.rendering import admin_page
from solve_api.stores import Held
from solve_runtime.sql import queries

DEAD_LETTERS_SQL = queries("solve_api.operations", "dead_letters")

JOBS_SHOWN = 10
PARKED_COUNTED = 10_000
JOBS_SEARCHED = 50
UPDATES_SHOWN = 500
POLL_MS = 5_000
KINDS: tuple[Kind, ...] = ("backfill", "sync-leaderboard")

# whoever has no log-in is limited too: each guess at a session asks PostgreSQL
router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])
Admin = Annotated[Caller, Depends(require_session)]


@router.api_route("/admin", methods=["GET", "HEAD"])
async def panel(request: Request, caller: Admin, stores: Held) -> Response:
    """Everything at a glance, and the buttons."""
    jobs = await stores.jobs.latest(JOBS_SEARCHED)
    parked = await stores.pool.fetchval(DEAD_LETTERS_SQL["open_parked"], PARKED_COUNTED)
    letters = [dict(row) for row in await stores.pool.fetch(DEAD_LETTERS_SQL["open_dead_letters"])]
    return admin_page(
        request,
        caller,
        "panel.html",
        poll_ms=POLL_MS,
        lag=stores.lag.report(),
        letters=letters,
        parked=parked,
        parked_counted=PARKED_COUNTED,
        jobs=jobs[:JOBS_SHOWN],
        checked={kind: _latest(jobs, kind) for kind in KINDS},
        words=job_words,
    )


@router.post("/admin/jobs")
async def start(
    request: Request, caller: Admin, kind: Annotated[Kind, Form()], dry_run: Annotated[bool, Form()] = False
) -> Response:
    """Begins a check or a repair, and leads to where it is watched."""
    job = await begin(request, caller, kind, dry_run=dry_run)
    return RedirectResponse(f"/admin/jobs/{job.job_id}", 303)


@router.api_route("/admin/jobs/{job_id}", methods=["GET", "HEAD"])
async def job(request: Request, caller: Admin, stores: Held, job_id: UUID) -> Response:
    """One job: where it is, then what it found, and what can be done about it."""
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
        words=job_words,
        report=report,
        updates=updates[:UPDATES_SHOWN],
        updates_hidden=max(0, report.get("users_updated", 0) - UPDATES_SHOWN),
        others=other_findings(report),
        repairable=state.dry_run and state.state == "done" and needs_repair(state),
    )


def needs_repair(job: JobState) -> bool:
    """Whether a check found what a repair would change."""
    report = job.report or {}
    return bool(report.get("drift")) or any(report.get(name) for name in ("added", "changed", "removed"))


def job_words(job: JobState) -> str:
    """What a job was for, in words."""
    if job.kind == "backfill":
        return "Check of the counts" if job.dry_run else "Repair of the counts"
    return "Check of the leaderboard" if job.dry_run else "Rebuild of the leaderboard"


def other_findings(report: dict[str, Any]) -> list[tuple[str, int]]:
    """What else a replay found to differ, beside the counts of users."""
    found = [
        (f"{title}: {name.replace('_', ' ')}", number)
        for key, title in (
            ("verdicts", "Verdicts"),
            ("parked_events", "Parked events"),
            ("dead_letters", "Dead letters"),
            ("leaderboard", "Leaderboard"),
        )
        for name, number in (report.get(key) or {}).items()
        if isinstance(number, int) and number
    ]
    if number := report.get("users_renamed_or_created"):
        found.append(("Users renamed or created", number))
    for key, title in (
        ("users_never_registered", "Users nobody registered"),
        ("users_refused", "Users that PostgreSQL refused"),
        ("offsets_moved", "Offsets moved"),
    ):
        if report.get(key):
            found.append((title, len(report[key])))
    return found


def _latest(jobs: list[JobState], kind: str) -> JobState | None:
    return next((one for one in jobs if one.kind == kind), None)
