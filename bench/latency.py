"""Measures from publish to PostgreSQL and to Redis, with single probes beside a steady load."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from time import perf_counter
from typing import Any

import asyncpg

from bench.common import open_database, percentile_ms
from bench.processes import running
from solve_producer.client import SolveProducer
from solve_projector.leaderboard.board import Leaderboard, open_leaderboard
from solve_projector.settings import ProjectorSettings
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.events import SubmissionSolved, UserRegistered

LOAD_PER_SECOND = 1_000
LOAD_USERS = 1_000
PIECE_S = 0.01
POLL_S = 0.001
WARM_UP_PROBES = 20  # the first ones prepare statements


async def measure_latency(connection: KafkaConnection, settings: ProjectorSettings, seconds: float) -> dict[str, Any]:
    """p50 and p99 in milliseconds, by store."""
    async with (
        running("solve_projector", "run"),
        SolveProducer(connection) as producer,
        open_leaderboard(settings, connection.topic) as board,
        open_database(settings) as database,
    ):
        now = datetime.now(UTC)
        await producer.publish(
            UserRegistered(user_id=f"load-{user}", username="load", registered_at=now) for user in range(LOAD_USERS)
        )
        load = asyncio.create_task(_load(producer))
        figures: dict[str, list[float]] = {"PostgreSQL": [], "Redis": []}
        deadline = perf_counter() + seconds
        for number in count():
            if perf_counter() > deadline:
                break
            took = await _probe(producer, database, board, f"probe-{now:%H%M%S}-{number}")
            if number >= WARM_UP_PROBES:
                for name, seconds_taken in took.items():
                    figures[name].append(seconds_taken)
        load.cancel()
        await asyncio.wait([load])
    return {
        name: {"p50": percentile_ms(took, 50), "p99": percentile_ms(took, 99), "probes": len(took)}
        for name, took in figures.items()
    }


async def _probe(
    producer: SolveProducer, database: asyncpg.Connection, board: Leaderboard, user_id: str
) -> dict[str, float]:
    """Seconds from publishing one solve of a new user until each store has it."""
    now = datetime.now(UTC)
    await producer.send(UserRegistered(user_id=user_id, username="probe", registered_at=now))
    started = perf_counter()
    await producer.send(SubmissionSolved(submission_id=user_id, user_id=user_id, problem_id="p", judged_at=now))
    await _until(lambda: database.fetchval("SELECT problems_solved FROM users WHERE user_id = $1", user_id))
    in_postgresql_s = perf_counter() - started
    await _until(lambda: board.rows_of([user_id]))
    return {"PostgreSQL": in_postgresql_s, "Redis": perf_counter() - started}


async def _until(ask: Callable[[], Awaitable[Any]]) -> None:
    while not await ask():  # noqa: ASYNC110 - another process moves it
        await asyncio.sleep(POLL_S)


async def _load(producer: SolveProducer) -> None:
    """A thousand events a second, in pieces of ten."""
    started, sent = perf_counter(), 0
    for number in count():
        piece = [
            SubmissionSolved(
                submission_id=f"load-{started}-{number}-{one}",
                user_id=f"load-{(number * 7 + one * 131) % LOAD_USERS}",
                problem_id=f"p{number % 500}",
                judged_at=datetime.now(UTC),
            )
            for one in range(int(LOAD_PER_SECOND * PIECE_S))
        ]
        await producer.publish(piece)
        sent += len(piece)
        if (early := started + sent / LOAD_PER_SECOND - perf_counter()) > 0:
            await asyncio.sleep(early)
