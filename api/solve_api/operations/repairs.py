"""How does an admin repair data? The same for the API and for the page: begun, written down, limited, watched."""

from typing import Any

from fastapi import Request

from solve_api.http.public import address_of, request_id
from solve_api.http.rate_limits import Kind as RateKind
from solve_api.identity.audit import Entry, record
from solve_api.identity.authentication import Caller
from solve_api.operations.jobs import Kind, Running
from solve_api.stores import stores_of


async def begin(request: Request, caller: Caller, kind: Kind, *, dry_run: bool) -> Running:
    """Starts a job, with a row of the audit table at its begin and at its end. Raises Problem 429."""
    await request.app.state.rate_limits.spend(RateKind.COSTLY, caller.name)
    stores = stores_of(request)
    told = {"dry_run": dry_run}

    async def on_end(job: Running) -> None:
        said = {**told, "job": str(job.job_id), **_figures(job.report)}
        result = "failed" if job.error else "done"
        await record(stores.pool, entry_of(request, caller, kind, said, result))

    job = await stores.jobs.start(kind, caller.name, on_end, dry_run=dry_run)
    await record(stores.pool, entry_of(request, caller, kind, {**told, "job": str(job.job_id)}, "started"))
    return job


def entry_of(request: Request, caller: Caller, action: str, detail: dict[str, Any], result: str) -> Entry:
    """A row of the audit table for what this request does."""
    return Entry(
        who=caller.name,
        via=caller.via,
        action=action,
        detail=detail,
        result=result,
        request_id=request_id(),
        client=address_of(request),
    )


def _figures(report: dict[str, Any] | None) -> dict[str, Any]:
    names = ("message", "total_users", "users_updated", "drift", "added", "changed", "removed")
    return {name: report[name] for name in names if report and name in report}
