"""What does a running API hold? Its connections and the parts that outlive a request, opened and closed in order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated

import asyncpg
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

from solve_api.live.changes import Changes, open_changes
from solve_api.operations.jobs import Jobs
from solve_api.operations.lag import LagWatch, watching_lag
from solve_api.ranking.boards import Boards
from solve_api.ranking.freshness import watching_step
from solve_api.ranking.single_flight import Together
from solve_api.settings import ApiSettings
from solve_projector.leaderboard.board import Leaderboard, open_leaderboard
from solve_projector.store.postgresql import open_pages_pool
from solve_runtime.kafka_settings import KafkaConnection


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything a route needs."""

    connection: KafkaConnection
    settings: ApiSettings
    pool: asyncpg.Pool
    board: Leaderboard
    boards: Boards
    changes: Changes
    lag: LagWatch
    jobs: Jobs
    pages: Together[HTMLResponse] = field(default_factory=Together)

    def end_long_answers(self) -> None:
        """Streams and jobs end at once, where the server would wait for them."""
        self.changes.close_streams()
        self.jobs.interrupt()


@asynccontextmanager
async def open_stores(connection: KafkaConnection, settings: ApiSettings) -> AsyncIterator[Stores]:
    """Connects to each server when it is first needed: pages that cannot work yet say so, and work once it is there."""
    topic = connection.topic
    async with (
        open_pages_pool(settings, settings.api_pool_size) as pool,
        open_leaderboard(settings, topic) as board,
        watching_step(pool, board, topic) as step,
        open_changes(settings, pool, topic) as changes,
        watching_lag(connection, settings) as lag,
    ):
        jobs = Jobs(connection, settings, pool)
        try:
            yield Stores(connection, settings, pool, board, Boards(pool, board, step), changes, lag, jobs)
        finally:
            await jobs.close()


def stores_of(request: Request) -> Stores:
    """The process's stores, for a route."""
    found: Stores = request.app.state.stores
    return found


async def _held(request: Request) -> Stores:
    """Async, as every dependency here: FastAPI hands one that is not to another thread, and waits for it."""
    return stores_of(request)


Held = Annotated[Stores, Depends(_held)]
