"""Runs replays and rebuilds as jobs that a page can watch and every process can see.

A running job sends heartbeats to PostgreSQL. Without them it counts as interrupted: its process is gone, no
half-finished result is visible (I8), and running it again finishes it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import structlog
from pydantic import ValidationError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

from solve_api.database import Database, transaction
from solve_api.errors import AuditRefused, JobUnknown, JobUnreadable
from solve_api.http.problems import SHOWN, problem_of
from solve_api.identity.actors import Actor
from solve_api.identity.audit import DONE, FAILED, STARTED, record
from solve_api.operations.bodies import Job, JobKind, JobOutcome
from solve_api.operations.job_process import work_apart
from solve_api.settings import ApiSettings
from solve_projector.store.postgresql import DATABASE_ERRORS, said_of
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.sql import queries
from solve_runtime.tasks import cancel_and_wait, cancelled, in_background

JOBS_SQL = queries("solve_api.operations", "jobs")

HEARTBEAT_S = 0.5
SILENT_S = 20.0
FINISH_ATTEMPTS = 12  # of five seconds each, for a connection or a lock
GONE = "The process that ran this job is gone. No half-finished result is visible; run it again."
# The table keeps every list of so many jobs, and so many jobs; all of them are in the activity.
LISTS_KEPT, JOBS_KEPT = 20, 500
LISTS = ("updates", "users_refused", "users_never_registered", "offsets_moved")
RECORDED_FIGURES = ("message", "total_users", "users_updated", "drift", "added", "changed", "removed")

log = structlog.get_logger()


@dataclass(slots=True)
class RunningJob:
    """A job of this process. `error` is what it failed with, `report` what it found."""

    job_id: UUID
    kind: JobKind
    dry_run: bool
    phase: str = "starting"
    done: int = 0
    total: int = 0
    report: dict[str, Any] | None = None
    error: BaseException | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self, phase: str, done: int, total: int) -> None:
        """Takes the progress that the work reports."""
        self.phase, self.done, self.total = phase, done, total

    @property
    def progress(self) -> str:
        """The progress as stored."""
        return json.dumps({"phase": self.phase, "done": self.done, "total": self.total})

    @property
    def outcome(self) -> JobOutcome:
        """How the work ended."""
        if self.error is None:
            return "done"
        return "interrupted" if isinstance(self.error, asyncio.CancelledError) else "failed"


class Jobs:
    """The jobs of this process, and the table of all jobs."""

    def __init__(self, connection: KafkaConnection, settings: ApiSettings, pool: asyncpg.Pool) -> None:
        self._connection = connection
        self._settings = settings
        self._pool = pool
        self._tasks: set[asyncio.Task[None]] = set()
        self._final_tasks: set[asyncio.Task[None]] = set()

    async def start(self, kind: JobKind, actor: Actor, *, dry_run: bool) -> RunningJob:
        """Starts a job in the background. Its audit row is committed before, and another one says how it ended.

        Raises AuditRefused and asyncpg's errors; then there is no job.
        What the work raises is in `error`. However often the work is cancelled, its end is recorded and `ended` set.
        """
        job = RunningJob(uuid4(), kind, dry_run)
        async with transaction(self._pool) as database:
            await database.execute(JOBS_SQL["start_job"], job.job_id, kind, dry_run, actor.name)
            await self._record(database, job, actor, STARTED)
        task = asyncio.create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(partial(self._on_stopped, job, actor))
        return job

    async def state(self, job_id: UUID) -> Job:
        """One job. Raises JobUnknown, JobUnreadable."""
        rows = await self._pool.fetch(JOBS_SQL["jobs"], [job_id], SILENT_S)
        if not rows:
            raise JobUnknown(f"there is no job {job_id}; to start one, use POST /api/admin/backfill-problems-solved")
        return await self._named(_state(rows[0]))

    async def states(self, job_ids: Collection[UUID]) -> dict[UUID, Job]:
        """Those of the jobs that there are and can be read, by id."""
        rows = await self._pool.fetch(JOBS_SQL["jobs"], list(job_ids), SILENT_S)
        return {one.job_id: await self._named(one) for one in _readable(rows)}

    async def latest(self, limit: int) -> list[Job]:
        """The newest jobs of all processes; reports without their lists."""
        return _readable(await self._pool.fetch(JOBS_SQL["latest_jobs"], limit, SILENT_S, LISTS))

    async def overview(self, limit: int) -> list[Job]:
        """The newest jobs, and the newest of each kind; of reports only the message."""
        return _readable(await self._pool.fetch(JOBS_SQL["overview"], limit, SILENT_S))

    async def with_names(self, report: dict[str, Any]) -> dict[str, Any]:
        """A report with the names that its users have now: what is kept of it holds ids only (I13)."""
        updates = [one for one in report.get("updates") or () if isinstance(one, dict) and "user_id" in one]
        if not updates:
            return report
        rows = await self._pool.fetch(JOBS_SQL["names"], [one["user_id"] for one in updates])
        names = {row["user_id"]: row["username"] for row in rows}
        return report | {"updates": [{**one, "username": names.get(one["user_id"])} for one in updates]}

    async def _named(self, job: Job) -> Job:
        return job.model_copy(update={"report": await self.with_names(job.report)}) if job.report else job

    def interrupt(self) -> None:
        """Cancels running jobs. No half-finished result is visible (I8), and the table says "interrupted"."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Interrupts running jobs and waits until the table says so."""
        await cancel_and_wait(list(self._tasks))
        while self._final_tasks:
            await asyncio.wait(self._final_tasks)

    async def _run(self, job: RunningJob) -> None:
        try:
            async with in_background(partial(self._send_heartbeats, job)):
                job.report = await work_apart(
                    self._connection, self._settings, job.kind, dry_run=job.dry_run, on_progress=job.step
                )
        except Exception as error:
            job.error = error
            if isinstance(error, tuple(SHOWN)):  # a refusal that tells its reader what to do, not a fault of ours
                log.warning("a job was refused", action="job_refused", kind=job.kind, error=str(error))
            else:
                log.exception("a job failed", action="job_failed", kind=job.kind, error=str(error))

    def _on_stopped(self, job: RunningJob, actor: Actor, task: asyncio.Task[None]) -> None:
        """Records the end in a task of its own, which nobody cancels: the work may be cancelled twice, or unstarted."""
        self._tasks.discard(task)
        if task.cancelled():
            job.report, job.error = None, asyncio.CancelledError()
        final = asyncio.create_task(self._finish(job, actor))
        self._final_tasks.add(final)
        final.add_done_callback(self._final_tasks.discard)
        final.add_done_callback(lambda _: job.ended.set())

    async def _finish(self, job: RunningJob, actor: Actor) -> None:
        error = problem_of(job.error).detail if job.error else None
        report = json.dumps(job.report, default=_as_text) if job.report is not None else None
        row = (job.job_id, job.outcome, job.progress, report, error)
        try:
            await _retrying(lambda: self._pool.execute(JOBS_SQL["finish_job"], *row))
            await _retrying(lambda: self._record(self._pool, job, actor, FAILED if job.error else DONE))
            await self._pool.execute(JOBS_SQL["trim_jobs"], LISTS_KEPT, JOBS_KEPT, LISTS, SILENT_S)
        except (AuditRefused, *DATABASE_ERRORS) as failure:  # the job counts as interrupted, or its row stays open
            log.warning(
                "the end of a job was not recorded", action="job_not_recorded", kind=job.kind, error=said_of(failure)
            )

    async def _record(self, database: Database, job: RunningJob, actor: Actor, result: str) -> None:
        report = job.report or {}
        figures = {name: report[name] for name in RECORDED_FIGURES if name in report}
        detail = {"dry_run": job.dry_run, "job": str(job.job_id), **figures}
        await record(database, actor, job.kind, detail, result, job.job_id)

    async def _send_heartbeats(self, job: RunningJob) -> None:
        while not cancelled():
            await asyncio.sleep(HEARTBEAT_S)
            try:
                await self._pool.execute(JOBS_SQL["heartbeat"], job.job_id, job.progress)
            except DATABASE_ERRORS as error:
                log.warning("the progress of a job was not recorded", action="job_heartbeat_failed", error=str(error))


async def _retrying(write: Callable[[], Awaitable[object]]) -> None:
    """Writes the end of a job, which is worth more attempts than a page: the job itself may hold locks."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type((TimeoutError, asyncpg.PostgresError)),
        stop=stop_after_attempt(FINISH_ATTEMPTS),
        reraise=True,
    ):
        with attempt:
            await write()


def _as_text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _readable(rows: Iterable[asyncpg.Record]) -> list[Job]:
    """The jobs without those that a newer version wrote in another form: one of them hides no other."""
    found = []
    for row in rows:
        try:
            found.append(_state(row))
        except JobUnreadable as error:
            log.warning("a job is left out", action="job_unreadable", error=str(error))
    return found


def _state(row: asyncpg.Record) -> Job:
    fields = dict(row)
    if fields.pop("silent"):
        fields |= {"state": "interrupted", "error": GONE}
    for name in ("progress", "report"):
        fields[name] = json.loads(fields[name]) if fields[name] is not None else None
    try:
        return Job(**fields)
    except ValidationError as error:
        raise JobUnreadable(
            f"the row of job {row['job_id']} is not one of this version; upgrade solve-api, or delete the row"
        ) from error
