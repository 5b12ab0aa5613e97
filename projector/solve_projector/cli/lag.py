"""What can an operator type to see how far the counts are behind? The command `lag`."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Annotated, TypeVar

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from solve_projector.errors import DatabaseUnavailable, KafkaUnavailable, SettingsError
from solve_projector.lag.exporter import STALE_AFTER_S, LagCollector, serve
from solve_projector.lag.history import History
from solve_projector.lag.report import Limit, as_dict, parse_limit, sentences, table_of, totals_of, width_of
from solve_projector.lag.snapshot import Look, Observer, open_observer
from solve_projector.lag.status import Judgement
from solve_projector.terminal import Json, load_settings, print_json, run_async
from solve_runtime.tasks import going_on

BEHIND = 3
LOOKS = 10  # Burrow's default number of intervals
WINDOW_OF_ONE_ANSWER_S = 2.0
PORT = 9308  # kafka_exporter's

Seen = tuple[Look, Mapping[int, Judgement]]
Opening = AbstractAsyncContextManager[Observer]
Answer = TypeVar("Answer")


def lag_command(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again and again; with --json, a line a look.")
    ] = False,
    serve_metrics: Annotated[
        bool, typer.Option("--serve", help="A Prometheus exporter, for as long as it runs.")
    ] = False,
    fail_over: Annotated[
        str | None, typer.Option(metavar="60s|10000", help="Exit with 3 where the lag is more: an age, or messages.")
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between looks.")] = 5.0,
    window: Annotated[
        float | None,
        typer.Option(min=0.0, max=86_400, help="Seconds that the status is judged by; 50, or 2 for a single answer."),
    ] = None,
    host: Annotated[str, typer.Option(help="Where --serve listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any that is free.")] = PORT,
    cluster: Annotated[str, typer.Option(help="The label cluster_name of --serve.")] = "default",
    as_json: Json = False,
) -> None:
    """Print how far each stage is behind the log: PostgreSQL (the truth), the group's commits in Kafka, and Redis.

    Example: solve-projector lag

    Example: solve-projector lag --watch --interval 1

    Example: solve-projector lag --fail-over 60s

    Example: solve-projector lag --serve --port 9308
    """
    limit = parse_limit(fail_over) if fail_over is not None else None
    if ((watch or serve_metrics) and limit) or (watch and serve_metrics):
        raise SettingsError("--watch, --serve and --fail-over go one at a time")
    connection, settings = load_settings()
    looks = LOOKS if window is None else max(1, round(window / interval))
    if serve_metrics:
        collector = LagCollector(cluster, max(STALE_AFTER_S, 3 * interval))
        work = partial(serve, collector=collector, host=host, port=port, looks=looks, interval_s=interval)
        _run_on(open_observer(connection, settings, with_backlog=True), work)
    elif watch:
        _run_on(open_observer(connection, settings), partial(_watch, looks=looks, interval_s=interval, as_json=as_json))
    else:
        # a limit asks for numbers, not for movement
        span = window if window is not None else 0.0 if limit else WINDOW_OF_ONE_ANSWER_S
        _answer(_run(open_observer(connection, settings), partial(_look_for, span_s=span)), limit, as_json)


def _answer(seen: Seen, limit: Limit | None, as_json: bool) -> None:
    look, judgements = seen
    if as_json:
        print_json(as_dict(look, judgements))
    else:
        show(look, judgements)
    # a limit cannot be checked without the two that the lag is between
    if "kafka" in look.problems:
        raise KafkaUnavailable(look.problems["kafka"])
    if "postgresql" in look.problems:
        raise DatabaseUnavailable(f"PostgreSQL: {look.problems['postgresql']}; check DATABASE_URL and the server")
    if limit and limit.exceeded(totals_of(look, judgements)):
        raise typer.Exit(BEHIND)


def show(look: Look, judgements: Mapping[int, Judgement]) -> None:
    """The table and what is not in order; in a file nothing is cut."""
    console = Console()
    table = table_of(look, judgements, console.width if console.is_terminal else None)
    (console if console.is_terminal else Console(width=width_of(table))).print(table)
    for sentence in sentences(look, judgements):
        print(sentence)
    sys.stdout.flush()


async def _look_for(observer: Observer, span_s: float) -> Seen:
    """A few looks, because one cannot tell what moves; the last of them, judged by all."""
    history = History(LOOKS)
    look = await observer.look()
    judgements = history.add(look)
    begun_s = look.at_s
    while look.at_s - begun_s < span_s and any(one.lag for found in look.partitions for one in found.stages.values()):
        await asyncio.sleep(span_s / 4)
        look = await observer.look()
        judgements = history.add(look)
    return look, judgements


async def _watch(observer: Observer, looks: int, interval_s: float, as_json: bool) -> None:
    history = History(looks)
    if as_json:
        while going_on():
            look = await observer.look()
            print_json(as_dict(look, history.add(look)))
            await asyncio.sleep(interval_s)
    console = Console()
    if not console.is_terminal:
        while going_on():
            look = await observer.look()
            show(look, history.add(look))
            await asyncio.sleep(interval_s)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while going_on():
            look = await observer.look()
            live.update(_screen(look, history.add(look), console.width), refresh=True)
            await asyncio.sleep(interval_s)


def _screen(look: Look, judgements: Mapping[int, Judgement], width: int) -> Group:
    """What is wrong comes first: a table of many partitions may be longer than the screen."""
    projectors = "1 projector" if look.members == 1 else f"{look.members} projectors"
    title = f"{look.group} on {look.topic}: {projectors}, {totals_of(look, judgements).status.name}"
    lines = [Text(sentence) for sentence in sentences(look, judgements)]
    return Group(Text(title, style="bold"), *lines, Text(), table_of(look, judgements, width))


def _run_on(opening: Opening, work: Callable[[Observer], Awaitable[None]]) -> None:
    """Until Ctrl-C or SIGTERM, which is the way to leave what runs for ever."""
    with suppress(KeyboardInterrupt):
        _run(opening, work)


def _run(opening: Opening, work: Callable[[Observer], Awaitable[Answer]]) -> Answer:
    """Raises KeyboardInterrupt on Ctrl-C and SIGTERM: an answer that was not given is no good one."""

    async def main() -> Answer:
        async with opening as observer:
            task = asyncio.ensure_future(work(observer))
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
            return await task

    try:
        answer: Answer = run_async(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    return answer
