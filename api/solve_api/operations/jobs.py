"""What runs for longer than a request? Replays and rebuilds, that a page can watch and another process can see.

A job beats in PostgreSQL while it runs. One that no longer beats was interrupted: its process is gone, nothing half
done is visible (I8), and running it again finishes it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

import asyncpg
import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

from solve_api.errors import JobUnknown
from solve_api.http.problems import SAID, problem_of
from solve_api.settings import ApiSettings
from solve_projector.leaderboard.audit import compare_board, one_rebuild, rebuild_board
from solve_projector.leaderboard.board import open_leaderboard
from solve_projector.replay.replaying import ReplayOptions, replay
from solve_projector.store.postgresql import DATABASE_ERRORS, open_pool, said_of
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.sql import queries
from solve_runtime.tasks import cancel_and_wait

JOBS_SQL = queries("solve_api.operations", "jobs")

BEAT_S = 0.5
SILENT_S = 20.0
TRIES_AT_THE_END = 12  # of five seconds each, for a connection or a lock
GONE = "Its process is gone. Nothing half done is visible; run it again."
REFUSALS = tuple(SAID)  # whoever asked hears what to do; none of them is a fault of ours

Kind = Literal["backfill", "sync-leaderboard"]
State = Literal["running", "done", "failed", "interrupted"]
Work = Callable[["Running"], Awaitable[dict[str, Any]]]
OnEnd = Callable[["Running"], Awaitable[None]]

log = structlog.get_logger()


@dataclass(slots=True)
class Running:
    """A job of this process. `error` is what it ended with, `report` what it found."""

    job_id: UUID
    kind: Kind
    dry_run: bool
    phase: str = "starting"
    done: int = 0
    total: int = 0
    report: dict[str, Any] | None = None
    error: BaseException | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self, phase: str, done: int, total: int) -> None:
        """Where it is, as the work tells."""
        self.phase, self.done, self.total = phase, done, total

    @property
    def progress(self) -> str:
        """For the table."""
        return json.dumps({"phase": self.phase, "done": self.done, "total": self.total})


@dataclass(frozen=True, slots=True)
class JobState:
    """A job as any process sees it."""

    job_id: UUID
    kind: str
    dry_run: bool
    state: State
    started_by: str
    started_at: datetime
    finished_at: datetime | None
    progress: dict[str, Any]
    report: dict[str, Any] | None
    error: str | None


class Jobs:
    """The jobs of this process, and the table of everybody's."""

    def __init__(self, connection: KafkaConnection, settings: ApiSettings, pool: asyncpg.Pool) -> None:
        self._connection = connection
        self._settings = settings
        self._pool = pool
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, kind: Kind, who: str, on_end: OnEnd, *, dry_run: bool = False) -> Running:
        """Begins one beside the request. Raises asyncpg's errors; what the work raises is in `error`."""
        job = Running(uuid4(), kind, dry_run)
        await self._pool.execute(
            "INSERT INTO admin_jobs (job_id, kind, dry_run, started_by) VALUES ($1, $2, $3, $4)",
            job.job_id, kind, dry_run, who,
        )  # fmt: skip
        work = self._backfill if kind == "backfill" else self._sync
        task = asyncio.create_task(self._run(job, work, on_end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def state(self, job_id: UUID) -> JobState:
        """Raises JobUnknown."""
        row = await self._pool.fetchrow(JOBS_SQL["job"], job_id, SILENT_S)
        if row is None:
            raise JobUnknown(f"there is no job {job_id}; begin one with POST /api/admin/backfill-problems-solved")
        return _state(row)

    async def latest(self, limit: int) -> list[JobState]:
        """Everybody's, the newest first."""
        return [_state(row) for row in await self._pool.fetch(JOBS_SQL["latest_jobs"], limit, SILENT_S)]

    def interrupt(self) -> None:
        """Ends what runs. Nothing half done is visible (I8); the table says that it was interrupted."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Interrupts what still runs; it says so in the table."""
        await cancel_and_wait(list(self._tasks))

    async def _run(self, job: Running, work: Work, on_end: OnEnd) -> None:
        beating = asyncio.create_task(self._beat(job))
        try:
            job.report = await work(job)
        except asyncio.CancelledError as error:
            job.error = error
            raise
        except Exception as error:
            job.error = error
            if isinstance(error, REFUSALS):
                log.warning("a job was refused", action="job_refused", kind=job.kind, error=str(error))
            else:
                log.exception("a job failed", action="job_failed", kind=job.kind, error=str(error))
        finally:
            await cancel_and_wait([beating])
            await asyncio.shield(self._finish(job, on_end))
            job.ended.set()

    async def _finish(self, job: Running, on_end: OnEnd) -> None:
        said = _said(job.error)
        report = json.dumps(job.report, default=_plain) if job.report is not None else None
        state = _ended_as(job.error)
        try:
            await _patiently(
                lambda: self._pool.execute(JOBS_SQL["finish_job"], job.job_id, state, job.progress, report, said)
            )
            await _patiently(lambda: on_end(job))
        except DATABASE_ERRORS as error:  # it will be seen as interrupted
            log.warning("a job's end was not recorded", action="job_not_recorded", kind=job.kind, error=said_of(error))

    async def _beat(self, job: Running) -> None:
        while not job.ended.is_set():
            await asyncio.sleep(BEAT_S)
            try:
                await self._pool.execute(
                    "UPDATE admin_jobs SET beaten_at = now(), progress = $2 WHERE job_id = $1", job.job_id, job.progress
                )
            except DATABASE_ERRORS as error:
                log.warning("a job's progress was not recorded", action="job_beat_failed", error=str(error))

    async def _backfill(self, job: Running) -> dict[str, Any]:
        options = ReplayOptions(dry_run=job.dry_run)
        report = await replay(self._connection, self._settings, options, job.step)
        return report.as_dict()

    async def _sync(self, job: Running) -> dict[str, Any]:
        settings, topic = self._settings, self._connection.topic
        pause_s = settings.leaderboard_check_interval_s

        def on_pass(done: int, total: int) -> None:
            job.step("comparing", done, total)
            if done == total and not job.dry_run:
                job.step("rebuilding", 0, 0)  # of nobody knows how many

        async with open_pool(settings) as pool, open_leaderboard(settings, topic) as board:
            if job.dry_run:
                found = await compare_board(pool, board, pause_s, on_pass)
            else:
                async with one_rebuild(pool):
                    found = await rebuild_board(pool, board, topic, pause_s, on_pass)
        job.step(job.phase, 1, 1)
        said = "would be" if job.dry_run else "were"
        message = f"Members that {said} added: {found.added}, changed: {found.changed}, removed: {found.removed}"
        return {"success": True, "message": message, "dry_run": job.dry_run, **asdict(found)}


async def _patiently(write: Callable[[], Awaitable[object]]) -> None:
    """A job's end is not given up like a page: all connections may be taken, or a row be locked, because of the job."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type((TimeoutError, asyncpg.PostgresError)),
        stop=stop_after_attempt(TRIES_AT_THE_END),
        reraise=True,
    ):
        with attempt:
            await write()


def _ended_as(error: BaseException | None) -> State:
    if error is None:
        return "done"
    return "interrupted" if isinstance(error, asyncio.CancelledError) else "failed"


def _said(error: BaseException | None) -> str | None:
    if error is None:
        return None
    return problem_of(error).detail


def _plain(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _state(row: asyncpg.Record) -> JobState:
    fields = dict(row)
    if fields.pop("silent"):
        fields |= {"state": "interrupted", "error": GONE}
    for name in ("progress", "report"):
        fields[name] = json.loads(fields[name]) if fields[name] is not None else None
    return JobState(**fields)
