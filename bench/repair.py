"""Measures how long projection stands still while a replay repairs beside it: the longest gap between two commits.

A tenth of the users drift by SQL; a judge publishes as fast as projection takes it; one projector process, one replay.
The same gap is measured before, with nothing but the stream.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from time import perf_counter
from typing import Any

import asyncpg

from bench.common import open_database
from bench.processes import run, running
from solve_producer.client import SolveProducer
from solve_producer.demo.simulation import Season, simulate
from solve_projector.settings import ProjectorSettings
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.events import Event

STREAM_ALONE_S = 5.0
MOST_BACKLOG = 20_000
PIECE = 2_000
POLL_S = 0.002
DRIFT = "UPDATE users SET problems_solved = problems_solved + 1 WHERE problems_solved > 0 AND right(user_id, 1) = '7'"
APPLIED = "SELECT coalesce(sum(next_offset), 0)::bigint FROM partition_offsets WHERE topic = $1"


class CommitGaps:
    """Watches PostgreSQL's offsets; the longest time in which they did not move."""

    def __init__(self, database: asyncpg.Connection, topic: str) -> None:
        self._database = database
        self._topic = topic
        self.longest_s = 0.0

    async def _watch(self) -> None:
        seen, moved_at = -1, perf_counter()
        while True:
            applied = await self._database.fetchval(APPLIED, self._topic)
            now = perf_counter()
            self.longest_s = max(self.longest_s, now - moved_at)
            if applied != seen:
                seen, moved_at = applied, now
            await asyncio.sleep(POLL_S)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Begins anew, and watches for as long as the block runs."""
        self.longest_s = 0.0
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


async def measure_repair(
    connection: KafkaConnection, settings: ProjectorSettings, database: asyncpg.Connection
) -> dict[str, Any]:
    """On a log that is projected already: gaps in milliseconds, and what the replay said.

    The session is a replay's, because the drift is one long statement.
    """
    gaps = CommitGaps(database, connection.topic)
    async with running("solve_projector", "run"), SolveProducer(connection) as producer:
        stream = asyncio.create_task(_stream(producer, settings, connection.topic))
        await _moving(database, connection.topic)
        async with gaps.watching():
            await asyncio.sleep(STREAM_ALONE_S)
        alone_s = gaps.longest_s
        await database.execute(DRIFT)
        async with gaps.watching():
            out = await run("solve_projector", "replay", "--json")
        stream.cancel()
        await asyncio.wait([stream])
    report = json.loads(out)
    return {
        "longest_gap_ms_stream_alone": round(alone_s * 1000),
        "longest_gap_ms_beside_replay": round(gaps.longest_s * 1000),
        "longest_chunk_ms": round(report["longest_chunk_seconds"] * 1000),
        "message": report["message"],
    }


async def _moving(database: asyncpg.Connection, topic: str) -> None:
    started = await database.fetchval(APPLIED, topic)
    while await database.fetchval(APPLIED, topic) == started:  # noqa: ASYNC110 - another process moves it
        await asyncio.sleep(POLL_S)


async def _stream(producer: SolveProducer, settings: ProjectorSettings, topic: str) -> None:
    """As fast as projection takes it."""
    async with open_database(settings) as database:
        sent = await database.fetchval(APPLIED, topic)
        for piece in _pieces():
            while sent - await database.fetchval(APPLIED, topic) > MOST_BACKLOG:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(POLL_S)
            sent += await producer.publish(piece)


def _pieces() -> Iterator[list[Event]]:
    start = datetime.now(UTC) - timedelta(days=300)
    events = simulate(Season(start=start, seed=2, users=20_000, problems=3_000, events=10_000_000))
    while piece := list(islice(events, PIECE)):
        yield piece
