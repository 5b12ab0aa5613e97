"""The streams of jobs that somebody watches: one query a tick for all jobs, however many streams there are.

The same tick asks who may still watch, with one query for all sessions and one for all tokens: a stream ends once its
admin is disabled or logged out, or its token revoked or expired. While PostgreSQL is unavailable, streams stay open and
say nothing.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

import asyncpg
import structlog

from solve_api.identity.actors import Caller
from solve_api.identity.sessions import now
from solve_api.identity.valid_callers import still_valid
from solve_api.operations.bodies import Job
from solve_api.operations.jobs import Jobs
from solve_api.settings import ApiSettings
from solve_projector.store.postgresql import DATABASE_ERRORS, said_of
from solve_runtime.tasks import cancelled, in_background

TICK_S = 0.3
UNAVAILABLE_S = 1.0
STREAMS_PER_ADMIN = 20  # in one process, of all browsers and tokens of the admin

log = structlog.get_logger()


class JobStream:
    """One open stream. A slow reader misses steps, and never the end."""

    def __init__(self, caller: Caller, job: Job) -> None:
        self.caller = caller
        self.job = job
        self._ended = False
        self._changed = asyncio.Event()
        self._changed.set()  # where it begins

    async def next(self) -> Job | None:
        """The job once it changed, or None if this stream is over."""
        await self._changed.wait()
        self._changed.clear()
        return None if self._ended else self.job

    def show(self, job: Job) -> None:
        """Takes a newer state."""
        if (job.state, job.progress) != (self.job.state, self.job.progress):
            self.job = job
            self._changed.set()

    def end(self) -> None:
        """Ends it, whatever the job does."""
        self._ended = True
        self._changed.set()


class JobStreams:
    """The open streams of this process."""

    def __init__(self, pool: asyncpg.Pool, settings: ApiSettings, jobs: Jobs) -> None:
        self._pool = pool
        self._settings = settings
        self._jobs = jobs
        self._streams: set[JobStream] = set()
        self._admins: Counter[int] = Counter()
        self._watched = asyncio.Event()
        self._closed = False

    def is_full_for(self, caller: Caller) -> bool:
        """Whether this admin may open no further stream."""
        return self._admins[caller.admin_id] >= STREAMS_PER_ADMIN

    @contextmanager
    def watching(self, caller: Caller, job: Job) -> Iterator[JobStream]:
        """Opens a stream, and closes it on exit."""
        stream = JobStream(caller, job)
        if self._closed:
            stream.end()
        self._streams.add(stream)
        self._admins[caller.admin_id] += 1
        self._watched.set()
        try:
            yield stream
        finally:
            self._streams.discard(stream)
            self._admins[caller.admin_id] -= 1
            self._admins += Counter()  # drops admins without streams

    def close(self) -> None:
        """Ends every stream, also those that open later."""
        self._closed = True
        self.end_all()

    def end_all(self) -> None:
        """Ends the open streams: nobody asks who may still watch, or how the jobs stand."""
        for stream in self._streams:
            stream.end()

    async def keep_asking(self) -> None:
        """Asks while there is a stream."""
        while not cancelled():
            await self._watched.wait()
            if not self._streams:
                self._watched.clear()
                continue
            pause_s = TICK_S
            try:
                await self._ask(list(self._streams))
            except DATABASE_ERRORS as error:
                log.warning("jobs are not read for their streams", action="jobs_not_read", error=said_of(error))
                pause_s = UNAVAILABLE_S
            await asyncio.sleep(pause_s)

    async def _ask(self, streams: list[JobStream]) -> None:
        valid = await still_valid(self._pool, self._settings, {one.caller for one in streams}, now())
        jobs: dict[UUID, Job] = await self._jobs.states({one.job.job_id for one in streams})
        for stream in streams:
            job = jobs.get(stream.job.job_id)
            if job is None or stream.caller not in valid:
                stream.end()
            else:
                stream.show(job)


@asynccontextmanager
async def open_job_streams(pool: asyncpg.Pool, settings: ApiSettings, jobs: Jobs) -> AsyncIterator[JobStreams]:
    """Asks in the background until exit."""
    streams = JobStreams(pool, settings, jobs)
    async with in_background(streams.keep_asking, on_failure=streams.end_all):
        yield streams
