"""Connections and background work of a running API, opened and closed in order; each connects on first use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

from solve_api.database import Readiness, open_request_pool
from solve_api.http.rate_limits import RateLimits, shared_limiter
from solve_api.identity.login import Identity
from solve_api.identity.refusals import recording_refusals
from solve_api.live.changes import Changes, open_changes
from solve_api.operations.facts import FactLog
from solve_api.operations.job_streams import JobStreams, open_job_streams
from solve_api.operations.jobs import Jobs
from solve_api.operations.lag import LagWatch, watching_lag
from solve_api.operations.problem_facts import ProblemFacts
from solve_api.operations.user_facts import UserFacts
from solve_api.profiles.profile import Profiles
from solve_api.profiles.search_blocks import SearchBlocks, open_search_blocks
from solve_api.ranking.boards import Boards
from solve_api.ranking.freshness import watching_freshness
from solve_api.ranking.kept_boards import keeping_boards
from solve_api.ranking.single_flight import SingleFlight
from solve_api.settings import ApiSettings
from solve_projector.leaderboard.board import open_leaderboard
from solve_runtime.kafka_settings import KafkaConnection


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that routes and pages use."""

    connection: KafkaConnection
    settings: ApiSettings
    pool: asyncpg.Pool
    identity: Identity
    profiles: Profiles
    boards: Boards
    search_blocks: SearchBlocks
    changes: Changes
    lag: LagWatch
    jobs: Jobs
    readiness: Readiness
    job_streams: JobStreams
    user_facts: UserFacts
    problem_facts: ProblemFacts
    answers: SingleFlight = field(default_factory=SingleFlight)

    @property
    def limits(self) -> RateLimits:
        """The rate limits of this process."""
        return self.identity.limits

    def end_long_answers(self) -> None:
        """Ends streams and jobs at once, so that a server that stops does not wait for them."""
        self.changes.hub.close()
        self.job_streams.close()
        self.jobs.interrupt()


@asynccontextmanager
async def open_stores(connection: KafkaConnection, settings: ApiSettings) -> AsyncIterator[Stores]:
    """Opens everything; a server that is unavailable is used as soon as it is back."""
    topic = connection.topic
    async with (
        open_request_pool(settings, settings.api_pool_size) as pool,
        open_leaderboard(settings, topic) as board,
        open_search_blocks(pool) as search_blocks,
        watching_freshness(pool, board, topic) as freshness,
        keeping_boards(pool) as kept,
        open_changes(settings, pool, topic) as changes,
        watching_lag(connection, settings) as lag,
        shared_limiter(settings) as limiter,
        recording_refusals(pool) as refusals,
    ):
        jobs = Jobs(connection, settings, pool)
        identity = Identity(pool, settings, RateLimits(settings, limiter), refusals)
        boards = Boards(pool, board, freshness, kept)
        fact_log = FactLog(connection, pool)
        try:
            async with open_job_streams(pool, settings, jobs) as job_streams:
                yield Stores(
                    *(connection, settings, pool, identity, Profiles(pool), boards, search_blocks),
                    *(changes, lag, jobs, Readiness(pool), job_streams),
                    *(UserFacts(fact_log, pool), ProblemFacts(fact_log, pool)),
                )
        finally:
            await jobs.close()
