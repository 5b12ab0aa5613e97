"""The command `lag`: the lag of PostgreSQL, of the group's commits and of Redis."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table

from solve_projector.cli.options import load_settings
from solve_projector.errors import DatabaseUnavailable, KafkaUnavailable, PoolerUnsuitable, SettingsError
from solve_projector.lag.exporter import STALE_AFTER_S, LagCollector, serve
from solve_projector.lag.report import Limit, as_dict, parse_limit, sentences, table_of, totals_of
from solve_projector.lag.snapshot import Observer, Snapshot, open_observer
from solve_projector.lag.status import Assessment
from solve_projector.lag.windows import CommitWindows
from solve_projector.settings import ProjectorSettings
from solve_projector.store.command_session import command_session
from solve_runtime.console import (
    Cell,
    Json,
    full_screen,
    output_width,
    print_json,
    print_lines,
    print_table,
    run_async,
    styled,
)
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.tasks import cancelled

STALE = 3
SNAPSHOTS = 10  # Burrow's default number of intervals
SPAN_OF_ONE_REPORT_S = 2.0
PORT = 9308  # kafka_exporter's

Assessed = tuple[Snapshot, Mapping[int, Assessment]]
Result = TypeVar("Result")


def lag_command(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep showing it; with --json, one line a snapshot.")
    ] = False,
    serve_metrics: Annotated[bool, typer.Option("--serve", help="Keep serving it to Prometheus.")] = False,
    fail_over: Annotated[
        str | None, typer.Option(metavar="60s|10000", help="Exit with 3 if the lag is more: an age, or messages.")
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between snapshots.")] = 5.0,
    window: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=86_400, help="Seconds that the status is assessed by; by default 50, or 2 for a single report."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address for --serve.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port for --serve; 0: any free port.")] = PORT,
    cluster: Annotated[str, typer.Option(help="Value of the label cluster_name for --serve.")] = "default",
    as_json: Json = False,
) -> None:
    """Show the lag of each partition, and why.

    Of PostgreSQL (the truth), of the group's commits in Kafka, and of Redis.

    Example: solve-projector lag

    Example: solve-projector lag --watch --interval 1

    Example: solve-projector lag --fail-over 60s

    Example: solve-projector lag --serve --port 9308
    """
    limit = parse_limit(fail_over) if fail_over is not None else None
    if ((watch or serve_metrics) and limit) or (watch and serve_metrics):
        raise SettingsError("choose one of --watch, --serve and --fail-over")
    connection, settings = load_settings()
    snapshots = SNAPSHOTS if window is None else max(1, round(window / interval))
    observe = partial(_observe, connection, settings)
    if serve_metrics:
        collector = LagCollector(cluster, max(STALE_AFTER_S, 3 * interval))
        work = partial(serve, collector=collector, host=host, port=port, snapshots=snapshots, interval_s=interval)
        _until_stopped(lambda: observe(work, with_backlog=True))
    elif watch:
        _until_stopped(lambda: observe(partial(_watch, snapshots=snapshots, interval_s=interval, as_json=as_json)))
    else:
        # a limit asks for numbers, not for movement
        span = window if window is not None else 0.0 if limit else SPAN_OF_ONE_REPORT_S
        _report(run_async(lambda: observe(partial(_snapshots_for, span_s=span))), limit, as_json)


def _report(assessed: Assessed, limit: Limit | None, as_json: bool) -> None:
    snapshot, assessments = assessed
    if as_json:
        print_json(as_dict(snapshot, assessments))
    else:
        show(snapshot, assessments)
    # a limit cannot be checked without the two that the lag is between
    if "kafka" in snapshot.problems:
        raise KafkaUnavailable(snapshot.problems["kafka"])
    if "postgresql" in snapshot.problems:
        raise DatabaseUnavailable(f"PostgreSQL: {snapshot.problems['postgresql']}; check DATABASE_URL and the server")
    if limit and limit.exceeded(totals_of(snapshot, assessments)):
        raise typer.Exit(STALE)


def show(snapshot: Snapshot, assessments: Mapping[int, Assessment]) -> None:
    """The table and what is not in order; in a file nothing is cut."""
    print_table(table_of(snapshot, assessments, output_width() if sys.stdout.isatty() else None))
    print_lines(*sentences(snapshot, assessments))
    sys.stdout.flush()


async def _snapshots_for(observer: Observer, span_s: float) -> Assessed:
    """The last of a few snapshots, assessed by all of them: one alone shows no movement."""
    windows = CommitWindows(SNAPSHOTS, span_s or SPAN_OF_ONE_REPORT_S)
    snapshot = await observer.snapshot()
    assessments = windows.add(snapshot)
    started_s = snapshot.at_s
    while snapshot.at_s - started_s < span_s and not _caught_up(snapshot):
        await asyncio.sleep(span_s / 4)
        snapshot = await observer.snapshot()
        assessments = windows.add(snapshot)
    return snapshot, assessments


def _caught_up(snapshot: Snapshot) -> bool:
    return not any(stage.lag for partition in snapshot.partitions for stage in partition.stages.values())


async def _watch(observer: Observer, snapshots: int, interval_s: float, as_json: bool) -> None:
    windows = CommitWindows(snapshots, snapshots * interval_s)
    while not cancelled() and (as_json or not sys.stdout.isatty()):
        snapshot = await observer.snapshot()
        assessed = snapshot, windows.add(snapshot)
        print_json(as_dict(*assessed)) if as_json else show(*assessed)
        await asyncio.sleep(interval_s)
    with full_screen() as draw:
        while not cancelled():
            snapshot = await observer.snapshot()
            draw(*_screen(snapshot, windows.add(snapshot)))
            await asyncio.sleep(interval_s)


def _screen(snapshot: Snapshot, assessments: Mapping[int, Assessment]) -> list[Cell | Table]:
    """What is wrong comes first: a table of many partitions may be longer than the screen."""
    projectors = "1 projector" if snapshot.members == 1 else f"{snapshot.members} projectors"
    title = f"{snapshot.group} on {snapshot.topic}: {projectors}, {totals_of(snapshot, assessments).status.name}"
    table = table_of(snapshot, assessments, output_width())
    return [styled(title, "bold"), *sentences(snapshot, assessments), "", table]


def _until_stopped(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Until Ctrl-C or SIGTERM, which is the way to leave what has no end."""
    with suppress(asyncio.CancelledError):
        run_async(work)


async def _observe(
    connection: KafkaConnection,
    settings: ProjectorSettings,
    work: Callable[[Observer], Awaitable[Result]],
    *,
    with_backlog: bool = False,
) -> Result:
    try:
        async with command_session(settings):
            pass
    except PoolerUnsuitable:
        raise
    except DatabaseUnavailable:
        pass  # the report says so, beside what the others have
    async with open_observer(connection, settings, with_backlog=with_backlog) as observer:
        return await work(observer)
