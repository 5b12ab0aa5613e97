"""Measures a replay beside live projection of the same log and beside two floors; prints a table and writes JSON.

The workload: a simulated season of 20,000 users and 3,000 problems in a topic of 12 partitions, projected live by one
process; then, in the same run, an audit over the full tables and a rebuild into empty ones, as processes of their own.
Two floors: aiokafka reading and decoding the same log with the same number of processes, and `COPY` of the same rows
into an unlogged table. Several sizes show how it grows. Read ratios; absolute figures are this machine's today.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import asyncpg
import psutil

from bench.common import begin_quietly, finish, open_database, say
from bench.processes import output_of, running
from bench.repair import measure_repair
from bench.throughput import project
from solve_producer.client import SolveProducer
from solve_producer.demo.simulation import Season, simulate
from solve_projector.operations.setup import provision
from solve_projector.replay.worker_pool import shares
from solve_projector.settings import ProjectorSettings
from solve_runtime.console import print_lines, print_table, table
from solve_runtime.kafka_settings import KafkaConnection

SAMPLE_S = 0.25
FAR = 100_000_000
USERS = 20_000


@dataclass
class Measured:
    """One command: its seconds, what it printed, and the memory of its processes in the course of it."""

    seconds: float
    report: dict[str, Any]
    memory_mib: dict[str, list[int]]


def main() -> None:
    """Writes `bench-results/replay.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[500_000, 2_000_000])
    options = parser.parse_args()
    if min(options.events) <= USERS:
        parser.error(f"--events must be more than {USERS:,}, because a season begins by registering so many users")
    begin_quietly()
    result = asyncio.run(measure(sorted(options.events)))
    finish(result, "replay.json", show)


async def measure(sizes: list[int]) -> dict[str, Any]:
    """All figures of every size; each size has a log of its own."""
    return {"workers": os.cpu_count(), "sizes": [await measure_size(number) for number in sizes]}


async def measure_size(number: int) -> dict[str, Any]:
    """Live, audit, rebuild and the two floors on one log."""
    os.environ["SOLVE_TOPIC"] = os.environ["SOLVE_GROUP_ID"] = f"bench-replay-{number}"
    connection, settings = KafkaConnection(), ProjectorSettings()
    await provision(connection, settings)
    async with open_database(settings, replay=True) as database:
        await clear(database)
        season = Season(start=datetime.now(UTC), users=USERS, problems=3_000, events=number).ending_now()
        say(f"publishing {number} events")
        async with SolveProducer(connection) as producer:
            await producer.publish(simulate(season))
        say("projecting live")
        live = await project(database, connection.topic, number)
        say("auditing")
        audit = await command("replay", "--dry-run", "--json")
        say("copying")
        copy_rate = await copy_floor(database)
        await clear(database)
        say("rebuilding")
        rebuild = await command("replay", "--json")
        say("reading and decoding")
        read_rate = await reading_floor(database)
        say("repairing beside a stream")
        beside = await measure_repair(connection, settings, database)
    return summary(number, live.seconds, audit, rebuild, read_rate, copy_rate) | {"repair_beside_a_stream": beside}


async def clear(database: asyncpg.Connection) -> None:
    """As after `setup`."""
    await database.execute("TRUNCATE users, verdicts, solves, parked_events, dead_letters, partition_offsets")


async def command(*words: str) -> Measured:
    """Runs `solve-projector`, with the memory of each of its processes."""
    began = perf_counter()
    memory: dict[str, list[int]] = {}
    async with running("solve_projector", *words) as process:
        printing = asyncio.create_task(output_of(process, "solve_projector", *words))
        watched = psutil.Process(process.pid)
        while not printing.done():
            sample(watched, memory)
            await asyncio.wait([printing], timeout=SAMPLE_S)
    return Measured(perf_counter() - began, json.loads(await printing), memory)


def sample(watched: psutil.Process, memory: dict[str, list[int]]) -> None:
    """Resident MiB of a process and its children, now."""
    try:
        for number, process in enumerate([watched, *watched.children()]):
            name = f"reader {number}" if number else "replay"
            memory.setdefault(name, []).append(process.memory_info().rss >> 20)
    except psutil.NoSuchProcess:
        return


async def reading_floor(database: asyncpg.Connection) -> float:
    """Records a second that as many processes read and decode, and nothing else."""
    rows = await database.fetch("SELECT partition, next_offset FROM partition_offsets")
    ends: dict[int, int] = {row[0]: row[1] for row in rows}
    tasks = shares({partition: (0, end) for partition, end in ends.items()}, os.cpu_count() or 1)
    began = perf_counter()
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.reading", json.dumps(task)) for task in tasks
    ]
    if any([await process.wait() for process in processes]):
        raise SystemExit("a reading process failed")
    return sum(ends.values()) / (perf_counter() - began)


async def copy_floor(database: asyncpg.Connection) -> float:
    """Rows a second of `COPY` in PostgreSQL's own format into an unlogged table."""
    await database.execute("CREATE UNLOGGED TABLE floor_copy (LIKE verdicts)")
    with tempfile.TemporaryFile() as file:
        await database.copy_from_table("verdicts", output=file, format="binary")
        file.seek(0)
        began = perf_counter()
        done = await database.copy_to_table("floor_copy", source=file, format="binary")
        took = perf_counter() - began
    await database.execute("DROP TABLE floor_copy")
    return int(done.split()[1]) / took


def summary(
    number: int, live_seconds: float, audit: Measured, rebuild: Measured, read_rate: float, copy_rate: float
) -> dict[str, Any]:
    """What the table shows of one size."""
    live = number / live_seconds
    found: dict[str, Any] = {
        "events": number,
        "live_events_per_second": round(live),
        "floor_read_and_decode_per_second": round(read_rate),
        "floor_copy_rows_per_second": round(copy_rate),
    }
    for name, measured in (("audit", audit), ("rebuild", rebuild)):
        rate = number / measured.seconds
        found[name] = {
            "events_per_second": round(rate),
            "seconds": round(measured.seconds, 1),
            "phases": {phase: round(took, 1) for phase, took in measured.report["seconds"].items()},
            "times_live": round(rate / live, 2),
            "share_of_read_and_decode": round(rate / read_rate, 2),
            "share_of_copy": round(rate / copy_rate, 2),
            "memory_mib": {who: _quarters(some) for who, some in measured.memory_mib.items()},
            "message": measured.report["message"],
        }
    return found


def _quarters(samples: list[int]) -> list[int]:
    """The most in each quarter of the time."""
    step = max(1, -(-len(samples) // 4))
    return [max(samples[begin : begin + step]) for begin in range(0, len(samples), step)]


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    sizes = result["sizes"]
    shown = table("figure", *(f"{size['events']:,} events" for size in sizes))
    shown.add_row("live", *(f"{size['live_events_per_second']:,}/s" for size in sizes))
    for name in ("audit", "rebuild"):
        shown.add_row(name, *(f"{size[name]['events_per_second']:,}/s, {size[name]['seconds']} s" for size in sizes))
        shown.add_row("  times live", *(f"{size[name]['times_live']}" for size in sizes))
        shown.add_row(
            "  of reading and decoding alone", *(f"{size[name]['share_of_read_and_decode']}" for size in sizes)
        )
        shown.add_row("  of COPY alone", *(f"{size[name]['share_of_copy']}" for size in sizes))
        shown.add_row("  seconds", *(", ".join(f"{p} {s}" for p, s in size[name]["phases"].items()) for size in sizes))
        shown.add_row(
            "  MiB by quarter", *("; ".join(f"{w} {m}" for w, m in size[name]["memory_mib"].items()) for size in sizes)
        )
    for name in ("floor_read_and_decode_per_second", "floor_copy_rows_per_second"):
        shown.add_row(name.replace("_", " "), *(f"{size[name]:,}" for size in sizes))
    for name in ("longest_gap_ms_stream_alone", "longest_gap_ms_beside_replay", "longest_chunk_ms", "message"):
        shown.add_row(name.replace("_", " "), *(str(size["repair_beside_a_stream"][name]) for size in sizes))
    print_table(shown)
    if len(sizes) > 1:
        minutes = ", ".join(f"{name} {_far(sizes[-2:], name) / 60:.0f} min" for name in ("audit", "rebuild"))
        print_lines(f"{FAR:,} events, in a straight line from the two largest: {minutes}")


def _far(sizes: list[dict[str, Any]], name: str) -> float:
    small, large = sizes
    slope = (large[name]["seconds"] - small[name]["seconds"]) / (large["events"] - small["events"])
    return float(large[name]["seconds"] + slope * (FAR - large["events"]))


if __name__ == "__main__":
    main()
