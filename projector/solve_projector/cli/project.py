"""The commands `setup` and `run`."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from solve_projector.cli.options import load_settings
from solve_projector.live.process import OnProgress, open_projector, run_projector
from solve_projector.operations.setup import provision
from solve_projector.settings import ProjectorSettings
from solve_runtime.console import Bars, Json, print_json, print_lines, run_async, say, stopping_event
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.topic import PARTITIONS


def setup(
    partitions: Annotated[
        int, typer.Option(min=1, max=10_000, help="Partitions of a topic that is created now.")
    ] = PARTITIONS,
    replication_factor: Annotated[
        int, typer.Option(min=-1, max=32, help="Replicas of a topic that is created now; -1: the broker's default.")
    ] = -1,
    as_json: Json = False,
) -> None:
    """Create or upgrade the tables, and the topic.

    Safe to run again, and when two start at once. A topic that exists is checked: it must keep every event.

    Example: solve-projector setup --partitions 24 --replication-factor 3
    """
    connection, settings = load_settings()
    done = run_async(lambda: provision(connection, settings, partitions, replication_factor))
    topic = "created" if done.topic_created else "exists and keeps every event"
    said = f"tables at revision {done.revision}; topic {done.topic} {topic}, {done.partitions} partitions"
    say(asdict(done), said, as_json)


def run(
    once: Annotated[
        bool, typer.Option("--once", help="Stop when everything now in the log is in PostgreSQL and in Redis.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Project the log into PostgreSQL and Redis.

    Start up to as many of these as there are partitions. Ctrl-C and SIGTERM finish the current batch first.

    Example: solve-projector run --once
    """
    connection, settings = load_settings()
    with Bars(wanted=once) as bars:
        totals = run_async(
            lambda: _project(connection, settings, once, lambda done, total: bars("projecting", done, total))
        )
    if as_json:
        print_json(totals)
    elif once:
        for sentence in totals["open_transactions"]:
            print_lines(sentence)
        everything = "everything before them" if totals["open_transactions"] else "everything"
        print_lines(
            f"{totals['records']} records: {totals['verdicts']} verdicts, {totals['registered']} registrations, "
            f"{totals['parked']} parked, {totals['dead_letters']} dead letters; "
            f"PostgreSQL and Redis have {everything}"
        )


async def _project(
    connection: KafkaConnection, settings: ProjectorSettings, once: bool, on_progress: OnProgress | None
) -> dict[str, Any]:
    stopping = stopping_event()
    async with open_projector(connection, settings, stopping=stopping) as projector:
        return asdict(await run_projector(projector, stopping, once=once, on_progress=on_progress))
