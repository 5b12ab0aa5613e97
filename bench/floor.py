"""The floor of every idempotent sink: the same verdict rows inserted alone, without Kafka, counts and Redis."""

from collections.abc import Iterable, Sequence
from itertools import islice
from time import perf_counter
from typing import Any

import asyncpg

from solve_projector.domain.rule import Verdict, verdict_of
from solve_schemas.events import Event, SubmissionRevoked, SubmissionSolved

Columns = Sequence[Sequence[Any]]

INSERT = """
INSERT INTO floor_verdicts SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::boolean[], $5::timestamptz[], $6::timestamptz[], $7::text[],
    $8::text[], $9::text[], $10::integer[], $11::bigint[], $12::bigint[], $13::text[]
) ON CONFLICT DO NOTHING
"""


def rows_of(events: Iterable[Event], batch: int) -> list[Columns]:
    """Columns ready to be sent, a list a batch."""
    verdicts: Iterable[Verdict] = (
        verdict_of(event, 0, offset)
        for offset, event in enumerate(events)
        if isinstance(event, SubmissionSolved | SubmissionRevoked)
    )
    iterator = iter(verdicts)
    batches: list[Columns] = []
    while some := list(islice(iterator, batch)):
        batches.append(list(zip(*some, strict=True)))
    return batches


async def measure_floor(connection: asyncpg.Connection, batches: list[Columns]) -> float:
    """Rows a second, one transaction a batch, into a table with the columns and the key of `verdicts`."""
    await connection.execute("DROP TABLE IF EXISTS floor_verdicts")
    await connection.execute("CREATE TABLE floor_verdicts (LIKE verdicts INCLUDING ALL)")
    statement = await connection.prepare(INSERT)
    began = perf_counter()
    for columns in batches:
        async with connection.transaction():
            await statement.fetch(*columns)
    took = perf_counter() - began
    await connection.execute("DROP TABLE floor_verdicts")
    return sum(len(columns[0]) for columns in batches) / took
