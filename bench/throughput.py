"""Measures the projector beside the least that any sink must do; prints a table and writes JSON.

The workload: a simulated season of 20,000 users and 3,000 problems with duplicates, rejudges and wrong order, in a
topic of 12 partitions; the projector as one process of its own, from an empty database to the end of the log. The
floor is measured before and after it on the same server, with the same rows in batches of the same size. Latency is
that of single probes beside a steady 1,000 events a second. Read ratios; absolute figures are this machine's today.
"""

import argparse
import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import mean
from time import perf_counter
from typing import Any

import asyncpg
import psutil

from bench.common import begin_quietly, finish, open_database, say
from bench.floor import measure_floor, rows_of
from bench.latency import measure_latency
from bench.peers.compare import measure_peers
from bench.processes import output_of, running
from solve_producer.client import SolveProducer
from solve_producer.demo.simulation import Season, simulate
from solve_projector.operations.setup import provision
from solve_projector.settings import ProjectorSettings
from solve_runtime.console import print_table, table
from solve_runtime.kafka_settings import KafkaConnection

PROJECTION = ("solve_projector", "run", "--once", "--json")
POLL_S = 0.02


@dataclass
class Run:
    """One projection of the whole log."""

    seconds: float
    memory_mib: list[float]
    totals: dict[str, Any]


def main() -> None:
    """Writes `bench-results/bench.json` (or `peers.json`)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--latency-seconds", type=float, default=20)
    parser.add_argument("--peers", help="a Python that has the peers' packages: measure them on the same log")
    options = parser.parse_args()
    begin_quietly()
    result = asyncio.run(measure(options.events, options.latency_seconds, options.peers))
    finish(result, "peers.json" if options.peers else "bench.json", show)


async def measure(number: int, latency_s: float, peers: str | None) -> dict[str, Any]:
    """All figures, by name."""
    connection, settings = KafkaConnection(), ProjectorSettings()
    await provision(connection, settings)
    season = Season(start=datetime.now(UTC), users=20_000, problems=3_000, events=number)
    events = list(simulate(season.ending_now()))
    say(f"publishing {number} events")
    async with SolveProducer(connection) as producer:
        await producer.publish(events)
    batches = rows_of(events, settings.batch_max_records)
    async with open_database(settings) as database:
        say("measuring the floor")
        floors = [await measure_floor(database, batches)]
        say("projecting")
        run = await project(database, connection.topic, number)
        say("measuring the floor again")
        floors.append(await measure_floor(database, batches))
        result = summary(number, run, floors)
        if peers:
            result["peers"] = await measure_peers(peers, connection, settings, database, number)
        else:
            say("measuring latency")
            result["latency_ms"] = await measure_latency(connection, settings, latency_s)
    return result


async def project(database: asyncpg.Connection, topic: str, number: int) -> Run:
    """Runs `solve-projector run --once` from its first partition to the last offset, with its memory on the way."""
    started = perf_counter()
    done, memory = 0, list[float]()
    reached = "SELECT coalesce(sum(next_offset), -1)::bigint FROM partition_offsets WHERE topic = $1"
    async with running(*PROJECTION) as process:
        watched = psutil.Process(process.pid)
        while done < number and process.returncode is None:
            done = await database.fetchval(reached, topic)
            if done <= 0:
                started = perf_counter()  # starting Python and joining the group are no part of a rate
            elif done > number * (len(memory) + 1) / 10:
                memory.append(round(watched.memory_info().rss / 2**20, 1))
            await asyncio.sleep(POLL_S)
        seconds = perf_counter() - started
        return Run(seconds, memory, json.loads(await output_of(process, *PROJECTION)))


def summary(number: int, run: Run, floors: list[float]) -> dict[str, Any]:
    """What the table shows."""
    stages = {name: run.totals[f"{name}_seconds"] / run.seconds for name in ("fetch", "decode", "database", "board")}
    rate = number / run.seconds
    return {
        "workload": {"events": number, "users": 20_000, "problems": 3_000},
        "events_per_second": round(rate),
        "floor_rows_per_second": [round(floor) for floor in floors],
        "ratio_to_floor": round(rate / mean(floors), 3),
        "share_of_time": {name: round(share, 3) for name, share in stages.items()},
        "memory_mib_by_tenth": run.memory_mib,
        "batches": run.totals["batches"],
    }


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    shown = table("figure", "value")
    shown.add_row("events", str(result["workload"]["events"]))
    shown.add_row("live, end to end", f"{result['events_per_second']} events/s")
    shown.add_row("floor (before, after)", ", ".join(f"{floor} rows/s" for floor in result["floor_rows_per_second"]))
    shown.add_row("ratio to the floor", f"{result['ratio_to_floor']:.2f}")
    for name, share in result["share_of_time"].items():
        shown.add_row(f"busy: {name}", f"{share:.0%}")
    shown.add_row(
        "memory by tenth of the log", ", ".join(f"{one:.0f}" for one in result["memory_mib_by_tenth"]) + " MiB"
    )
    for name, figures in result.get("latency_ms", {}).items():
        shown.add_row(
            f"visible in {name}", f"p50 {figures['p50']} ms, p99 {figures['p99']} ms ({figures['probes']} probes)"
        )
    for name, rate in result.get("peers", {}).items():
        shown.add_row(name, f"{rate} events/s; ours is {result['events_per_second'] / rate:.1f} times that")
    print_table(shown)


if __name__ == "__main__":
    main()
