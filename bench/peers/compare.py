"""Measures the tools that a user would choose instead, on the same log and the same server, in the same run."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import asyncpg

from solve_projector.settings import ProjectorSettings
from solve_runtime.console import print_lines
from solve_runtime.kafka_settings import KafkaConnection

HERE = Path(__file__).parent
# script, table, and how long it may take at most
PEERS = {
    "Debezium, JDBC sink in Kafka Connect (rows alone)": ("debezium_sink", "debezium_verdicts", 120.0),
    "Quix Streams, PostgreSQL sink (rows alone)": ("quix_sink", "quix_verdicts", 120.0),
    "FastStream, a transaction an event": ("faststream_handler", "faststream_verdicts", 15.0),
}
OURS = ("debezium_sink",)  # run by this Python, which knows the way to jars; it needs no package of the peers
POLL_S = 0.1
START_TIMEOUT_S = 180.0  # Kafka Connect looks through its plugins first
QUIET_S = 15.0


async def measure_peers(
    python: str, connection: KafkaConnection, settings: ProjectorSettings, database: asyncpg.Connection, events: int
) -> dict[str, float]:
    """Events a second of each peer, from its first row until its last or until its time is over."""
    environment = os.environ | {
        "PEER_TOPIC": connection.topic,
        "PEER_BATCH": str(settings.batch_max_records),
    }
    # events that are verdicts come to this many rows once all are applied
    rows_in_all = await database.fetchval("SELECT count(*) + (SELECT count(*) FROM parked_events) FROM verdicts")
    rates: dict[str, float] = {}
    for name, (script, table, most_s) in PEERS.items():
        print_lines(f"measuring {name}", to_errors=True)
        # a group of its own, or the second peer would begin where the first one ended
        group = {"PEER_GROUP": f"peer-{os.getpid()}-{table}"}
        with tempfile.TemporaryDirectory(prefix="peer-") as folder:
            process = await asyncio.create_subprocess_exec(
                *_command(python, script),
                env=environment | group | {"PEER_FOLDER": folder},
            )
            try:
                share, took = await _measure(database, table, rows_in_all, most_s)
            finally:
                process.terminate()
                await process.wait()
        rates[name] = round(events * share / took)
    return rates


def _command(python: str, script: str) -> list[str]:
    return [sys.executable, "-m", f"{__package__}.{script}"] if script in OURS else [python, str(HERE / f"{script}.py")]


async def _measure(database: asyncpg.Connection, table: str, rows_in_all: int, most_s: float) -> tuple[float, float]:
    """Which share of the rows it had, and how many seconds after its first row it had the last of them."""
    began = await _first_row(database, table)
    rows, last = 0, began
    while rows < rows_in_all and perf_counter() - began < most_s and perf_counter() - last < QUIET_S:
        await asyncio.sleep(POLL_S)
        now = await _rows(database, table)
        if now > rows:
            rows, last = now, perf_counter()
    return rows / rows_in_all, last - began


async def _first_row(database: asyncpg.Connection, table: str) -> float:
    deadline = perf_counter() + START_TIMEOUT_S
    while perf_counter() < deadline:
        before = perf_counter()
        if await _rows(database, table):
            return before
        await asyncio.sleep(POLL_S)
    raise SystemExit(f"{table} stayed empty; see what the peer printed above")


async def _rows(database: asyncpg.Connection, table: str) -> Any:
    if await database.fetchval("SELECT to_regclass($1)", table) is None:
        return 0
    return await database.fetchval(f"SELECT count(*) FROM {table}")
