"""Measures the relay of a judge's outbox beside its floor, and from commit to count; prints a table and writes JSON.

The workload: verdicts of a simulated season in an outbox of PostgreSQL, one process of the relay. The floor, before and
after it, reads the same rows in batches of the same size and produces them with the same client's settings; it decodes
nothing and removes nothing. Latency is that of single probes beside a steady 500 verdicts a second, each a transaction
of its own: from its commit until PostgreSQL counts it. Read ratios; absolute figures are this machine's today.
"""

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from statistics import mean
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from aiokafka import AIOKafkaProducer

from bench.common import begin_quietly, finish, open_database, percentile_ms, say
from bench.processes import output_of, running
from solve_producer.broker_connection import LINGER_MS, MAX_BATCH_BYTES, MAX_REQUEST_BYTES
from solve_producer.demo.simulation import Season, simulate
from solve_projector.operations.setup import provision
from solve_projector.settings import ProjectorSettings
from solve_runtime.console import print_table, table
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.tasks import run_on_fast_loop
from solve_schemas.events import Event, SubmissionSolved, UserRegistered
from solve_sources.outbox.ddl import Dialect, ddl
from solve_sources.outbox.settings import OutboxSettings

RELAY = ("solve_producer", "relay", "--once", "--json")
DATABASE = "bench_judge"
PER_SECOND, WRITERS = 500, 4
LOAD_USERS = 1_000
WARM_UP_PROBES = 20
POLL_S, EMPTY_POLL_S = 0.001, 0.05
INSERT = "INSERT INTO solve_outbox (aggregateid, type, payload) VALUES ($1, $2, $3)"
FILL = "INSERT INTO solve_outbox (aggregateid, type, payload) SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[])"
READ = "SELECT seq, aggregateid, type, payload::text FROM solve_outbox WHERE seq > $1 ORDER BY seq LIMIT $2"
FILLED_AT_ONCE = 10_000
SEEN = "SELECT problems_solved FROM users WHERE user_id = $1"

Row = tuple[str, str, str]


def main() -> None:
    """Writes `bench-results/outbox.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--latency-seconds", type=float, default=20)
    options = parser.parse_args()
    begin_quietly()
    finish(run_on_fast_loop(measure(options.rows, options.latency_seconds)), "outbox.json", show)


async def measure(number: int, latency_s: float) -> dict[str, Any]:
    """All figures, by name."""
    connection, settings = KafkaConnection(), ProjectorSettings()
    await provision(connection, settings)
    season = Season(start=datetime.now(UTC), users=20_000, problems=3_000, events=number)
    rows = [row_of(event) for event in simulate(season.ending_now())]
    load = os.getloadavg()[0]
    async with judge_database(settings) as judge:
        batch = OutboxSettings().outbox_batch_rows
        await fill(judge, rows)
        say("measuring the floor")
        floors = [await measure_floor(judge, connection, batch)]
        say("relaying")
        rate = await relay_all(judge, len(rows))
        await fill(judge, rows)
        say("measuring the floor again")
        floors.append(await measure_floor(judge, connection, batch))
        await judge.execute("TRUNCATE solve_outbox")
        say("measuring latency")
        async with running("solve_projector", "run"), running("solve_producer", "relay"):
            took = await measure_latency(settings, latency_s)
    return {
        "workload": {"rows": len(rows), "batch_rows": batch, "verdicts_per_second": PER_SECOND},
        "load_average_before": round(load, 2),
        "rows_per_second": round(rate),
        "floor_rows_per_second": [round(floor) for floor in floors],
        "ratio_to_floor": round(rate / mean(floors), 3),
        "latency_ms": {"p50": percentile_ms(took, 50), "p99": percentile_ms(took, 99), "probes": len(took)},
    }


def row_of(event: Event) -> Row:
    """As a judge writes it."""
    return event.key, event.type_name, event.model_dump_json(exclude_none=True)


@asynccontextmanager
async def judge_database(settings: ProjectorSettings) -> AsyncIterator[asyncpg.Connection]:
    """A database of a judge in the same server, with an outbox; the relay finds it in the environment."""
    address = urlsplit(settings.database_url.get_secret_value())._replace(path=f"/{DATABASE}").geturl()
    async with open_database(settings) as admin:
        await admin.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {DATABASE}")
        os.environ["OUTBOX_DATABASE_URL"] = address
        judge = await asyncpg.connect(address)
        try:
            await judge.execute(ddl(Dialect.POSTGRESQL))
            yield judge
        finally:
            await judge.close()
            await admin.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


async def fill(judge: asyncpg.Connection, rows: list[Row]) -> None:
    """A backlog, vacuumed, so that the first who reads it pays for nobody else."""
    await judge.execute("TRUNCATE solve_outbox")
    for start in range(0, len(rows), FILLED_AT_ONCE):
        await judge.execute(FILL, *zip(*rows[start : start + FILLED_AT_ONCE], strict=True))
    await judge.execute("VACUUM (ANALYZE) solve_outbox")


async def measure_floor(judge: asyncpg.Connection, connection: KafkaConnection, batch: int) -> float:
    """Rows a second, read and produced, each batch confirmed before the next is read."""
    producer = AIOKafkaProducer(
        **connection.client_options(), enable_idempotence=True, acks="all", compression_type="lz4",
        linger_ms=LINGER_MS, max_batch_size=MAX_BATCH_BYTES, max_request_size=MAX_REQUEST_BYTES,
    )  # fmt: skip
    await producer.start()
    try:
        await producer.partitions_for(connection.topic)
        began, last, done = perf_counter(), 0, 0
        while rows := await judge.fetch(READ, last, batch):
            sent = [
                await producer.send(
                    connection.topic, payload.encode(), key=key.encode(), headers=[("ce_type", kind.encode())]
                )
                for _, key, kind, payload in rows
            ]
            await asyncio.gather(*sent)
            last, done = rows[-1][0], done + len(rows)
        return done / (perf_counter() - began)
    finally:
        await producer.stop()


async def relay_all(judge: asyncpg.Connection, number: int) -> float:
    """Rows a second, from the first batch that has left the table until the last; starting Python is no part of it."""
    waiting, first_row = "SELECT count(*) FROM solve_outbox", "SELECT coalesce(min(seq), 0) FROM solve_outbox"
    first = await judge.fetchval(first_row)
    async with running(*RELAY) as process:
        while await judge.fetchval(first_row) == first:  # noqa: ASYNC110 - another process moves it
            await asyncio.sleep(POLL_S)
        began, before = perf_counter(), number - await judge.fetchval(waiting)
        while await judge.fetchval(first_row):  # noqa: ASYNC110 - as above
            await asyncio.sleep(EMPTY_POLL_S)
        took = perf_counter() - began  # ending Python is no part of it either
        totals = json.loads(await output_of(process, *RELAY))
    if totals["published"] != number or await judge.fetchval(waiting):
        raise SystemExit(f"the relay published {totals['published']} of {number} rows")
    return float((number - before) / took)


async def measure_latency(settings: ProjectorSettings, seconds: float) -> list[float]:
    """Seconds of each probe."""
    took: list[float] = []
    writers = [asyncio.create_task(_load(number)) for number in range(WRITERS)]
    judge = await asyncpg.connect(os.environ["OUTBOX_DATABASE_URL"])
    async with open_database(settings) as database:
        names = (f"probe-{perf_counter()}-{number}" for number in count())
        for _ in range(WARM_UP_PROBES):  # until the projector has read what was relayed
            await _probe(judge, database, next(names))
        deadline = perf_counter() + seconds
        while perf_counter() < deadline:
            took.append(await _probe(judge, database, next(names)))
    for writer in writers:
        writer.cancel()
    await asyncio.wait(writers)
    await judge.close()
    return took


async def _probe(judge: asyncpg.Connection, database: asyncpg.Connection, user_id: str) -> float:
    now = datetime.now(UTC)
    await judge.execute(INSERT, *row_of(UserRegistered(user_id=user_id, username="probe", registered_at=now)))
    while await database.fetchval(SEEN, user_id) is None:  # noqa: ASYNC110 - another process moves it
        await asyncio.sleep(POLL_S)
    solved = SubmissionSolved(submission_id=user_id, user_id=user_id, problem_id="p", judged_at=now)
    await judge.execute(INSERT, *row_of(solved))
    began = perf_counter()
    while not await database.fetchval(SEEN, user_id):  # noqa: ASYNC110 - as above
        await asyncio.sleep(POLL_S)
    return perf_counter() - began


async def _load(writer: int) -> None:
    """Its share of the verdicts, each committed by itself, as early as the clock says."""
    judge = await asyncpg.connect(os.environ["OUTBOX_DATABASE_URL"])
    started = perf_counter()
    for number in count():
        event = SubmissionSolved(
            submission_id=f"load-{started}-{writer}-{number}",
            user_id=f"load-{(number * 7 + writer * 131) % LOAD_USERS}",
            problem_id=f"p{number % 500}",
            judged_at=datetime.now(UTC),
        )
        await judge.execute(INSERT, *row_of(event))
        if (early := started + (number + 1) * WRITERS / PER_SECOND - perf_counter()) > 0:
            await asyncio.sleep(early)


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    shown = table("figure", "value")
    shown.add_row("rows", str(result["workload"]["rows"]))
    shown.add_row("relay", f"{result['rows_per_second']} rows/s")
    shown.add_row("floor (before, after)", ", ".join(f"{floor} rows/s" for floor in result["floor_rows_per_second"]))
    shown.add_row("ratio to the floor", f"{result['ratio_to_floor']:.2f}")
    figures = result["latency_ms"]
    shown.add_row(
        f"commit to count, at {PER_SECOND} a second",
        f"p50 {figures['p50']} ms, p99 {figures['p99']} ms ({figures['probes']} probes)",
    )
    shown.add_row("load average before", str(result["load_average_before"]))
    print_table(shown)


if __name__ == "__main__":
    main()
