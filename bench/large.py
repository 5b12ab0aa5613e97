"""Projects one log into the large database and, before and after it, into empty ones on the same server."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import mean
from typing import Any

from bench.common import open_database, say
from bench.throughput import project
from solve_producer.client import SolveProducer
from solve_producer.demo.simulation import Season, simulate
from solve_projector.operations.setup import provision
from solve_projector.settings import ProjectorSettings
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.events import Event, SubmissionRevoked, SubmissionSolved

SEASON_USERS, PROBLEMS = 20_000, 3_000


async def measure_projection(
    connection: KafkaConnection, settings: ProjectorSettings, users: int, number: int
) -> dict[str, Any]:
    """Events a second into each, and the ratio."""
    say(f"publishing {number} events")
    season = Season(
        start=datetime.now(UTC), users=min(SEASON_USERS, users, number // 4), problems=PROBLEMS, events=number
    )
    step = users // season.users
    async with SolveProducer(connection) as producer:
        await producer.publish([_spread(event, step) for event in simulate(season.ending_now())])
    rates = [await _project_beside("bench_before", connection, number)]
    rates.append(await _project(settings, connection, number))
    rates.append(await _project_beside("bench_after", connection, number))
    empty = mean([rates[0], rates[2]])
    return {
        "events": number, "empty_before": round(rates[0]), "large": round(rates[1]), "empty_after": round(rates[2]),
        "empty": round(empty), "ratio": round(rates[1] / empty, 3),
    }  # fmt: skip


def _spread(event: Event, step: int) -> Event:
    """The same of a user who is among all users, and of a problem that nobody has solved before."""
    changes = {}
    if (number := event.key.partition("-")[2]).isdigit():
        changes[event.key_name] = f"user-{int(number) * step}"
    if isinstance(event, SubmissionSolved | SubmissionRevoked):
        changes["problem_id"] = f"new-{event.problem_id}"
    return event.model_copy(update=changes)


async def _project(settings: ProjectorSettings, connection: KafkaConnection, number: int) -> float:
    say(f"projecting into {settings.database_schema}")
    async with open_database(settings) as database:
        await database.execute("CHECKPOINT")
        return number / (await project(database, connection.topic, number)).seconds


async def _project_beside(schema: str, connection: KafkaConnection, number: int) -> float:
    with _environment({"SOLVE_DATABASE_SCHEMA": schema, "SOLVE_LEADERBOARD_PREFIX": schema}):
        settings = ProjectorSettings()
        await provision(connection, settings)
        rate = await _project(settings, connection, number)
        async with open_database(settings, replay=True) as database:
            await database.execute(f"DROP SCHEMA {schema} CASCADE")
    return rate


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
