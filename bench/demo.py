"""Publishes a simulated season, projects it, shows the board, and checks every count with the oracle."""

import argparse
import asyncio
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.check import differences, model_of
from bench.common import open_database
from bench.demo_pages import show_pages
from bench.oracle import Model
from solve_producer.client import SolveProducer
from solve_producer.demo.simulation import Season, simulate
from solve_producer.errors import ProducerError
from solve_projector.leaderboard.board import open_leaderboard
from solve_projector.live.process import open_projector, run_projector
from solve_projector.operations.setup import provision
from solve_projector.settings import ProjectorSettings
from solve_runtime.console import Bars, counted, print_lines, progress_bar
from solve_runtime.errors import SolveCountsError
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.logs import configure_logs
from solve_schemas.events import Event, UserRegistered
from solve_sources.clics.conversion import convert

SHOWN = 10
LASTS = timedelta(days=300)


def main() -> None:
    """Exits with 1 where a count is not what the oracle says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feed", help="a CLICS event feed instead of a simulated season")
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--once", action="store_true", help="end after the check, without the pages")
    options = parser.parse_args()
    configure_logs("ERROR", "console")
    try:
        agrees = asyncio.run(demo(_events(options.feed, options.events), pages=not options.once))
    except SolveCountsError as error:
        print_lines(f"demo: {error}", to_errors=True)
        sys.exit(1)
    sys.exit(not agrees)


async def demo(events: list[Event], *, pages: bool) -> bool:
    """Runs all parts against the servers of the environment; whether every count is right, also after the pages."""
    connection, settings = KafkaConnection(), ProjectorSettings()
    took: dict[str, float] = {}
    with _timed(took, "setup"):
        await provision(connection, settings)
    with _timed(took, "publish"), progress_bar("publishing", len(events)) as bar:
        async with SolveProducer(connection) as producer:
            await producer.publish(counted(events, bar))
    with _timed(took, "project"), Bars() as bars:
        async with open_projector(connection, settings) as projector:
            totals = await run_projector(projector, asyncio.Event(), once=True, on_progress=partial(bars, "projecting"))
    await asyncio.to_thread(_show_board)
    with _timed(took, "check"):
        model = model_of(events)
        wrong = await _check(model, settings, connection.topic)
    print_lines(
        "",
        f"{totals.records} records: {totals.verdicts} verdicts, {totals.registered} registrations, "
        f"{len(model.parked)} events parked for users nobody registered, {totals.dead_letters} dead letters",
        "took " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()),
    )
    agrees = _say_check(model, wrong)
    if pages and agrees:
        shown = await show_pages(connection, events)
        model = model_of([*events, *shown])
        agrees = _say_check(model, await _check(model, settings, connection.topic))
    return agrees


def _say_check(model: Model, wrong: list[str]) -> bool:
    for line in wrong:
        print_lines(f"WRONG: {line}")
    if not wrong:
        total, users = sum(one.problems_solved for one in model.solved.values()), len(model.users)
        print_lines(f"check: PostgreSQL = Redis = the oracle, for {users} users with {total} problems solved: OK")
    return not wrong


def _show_board() -> None:
    subprocess.run([Path(sys.executable).with_name("solve-projector"), "top", "-n", str(SHOWN)], check=True)


async def _check(model: Model, settings: ProjectorSettings, topic: str) -> list[str]:
    async with open_leaderboard(settings, topic) as board, open_database(settings) as database:
        return await differences(model, database, board)


def _events(feed: str | None, number: int) -> list[Event]:
    if feed is None:
        season = Season(start=datetime.now(UTC), users=2_000, events=number)
        season = replace(season, seconds_between=LASTS / season.lasts * season.seconds_between)
        times = [one.happened_at for one in simulate(season) if not isinstance(one, UserRegistered)]
        ends = max(times, default=season.start)
        return list(simulate(replace(season, start=season.start - (ends - season.start) - timedelta(minutes=5))))
    try:
        with Path(feed).open("rb") as lines:
            conversion = convert(lines, feed)
    except OSError as error:
        raise ProducerError(
            f"cannot read {feed}: {error.strerror}; name a CLICS event feed: make demo FEED=path"
        ) from error
    print_lines(*conversion.report.people())
    return conversion.events


@contextmanager
def _timed(took: dict[str, float], name: str) -> Any:
    began = perf_counter()
    yield
    took[name] = perf_counter() - began


if __name__ == "__main__":
    main()
