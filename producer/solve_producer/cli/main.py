"""The commands of `solve-producer`: thin, over functions that tests call too."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import UTC, datetime
from importlib.metadata import entry_points
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from solve_producer.cli import problems, users
from solve_producer.cli.event_file import STANDARD_INPUT, open_events
from solve_producer.cli.publishing import check_files, connected_producer, publish_files, publish_stream
from solve_producer.cli.summary import print_summary, show_bad_lines
from solve_producer.demo.ongoing import publish_live
from solve_producer.demo.simulation import Season, bad_records
from solve_producer.demo.simulation import simulate as simulated
from solve_producer.errors import BadLine
from solve_runtime.console import (
    Advance,
    Json,
    command_line,
    counted,
    print_lines,
    progress_bar,
    run_async,
    stopping_event,
)
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.record import EncodedRecord, encode, encode_line

app = command_line(
    "Publishes judge events to the log.\n\n"
    "Settings come from the environment or .env: KAFKA_BOOTSTRAP_SERVERS, SOLVE_TOPIC and others."
)
app.add_typer(users.app, name="user")
app.add_typer(problems.app, name="problem")
for found in entry_points(group="solve_producer.commands"):
    added = found.load()
    if isinstance(added, typer.Typer):
        app.add_typer(added, name=found.name)
    else:
        app.command(found.name)(added)
LIVE_FROM = 100_000  # events of the season, to learn whom and what they are of
Share = Annotated[float, typer.Option(min=0, max=1)]


@app.command()
def publish(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE|-...", help="NDJSON, one event a line; - is standard input.")
    ],
    skip_invalid: Annotated[
        bool,
        typer.Option("--skip-invalid", help="Send the good lines all the same, and exit with 1 where some were bad."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Send event files to the log.

    Files are checked first: if one line is bad, nothing of any file is sent.

    Standard input is sent as it is read, and stops at the first bad line. Sending the same file again is harmless.

    Example: solve-producer publish events.ndjson

    Example: generate-events | solve-producer publish -
    """
    now = datetime.now(UTC)
    if files == [STANDARD_INPUT]:
        result = run_async(lambda: publish_stream(open_events(STANDARD_INPUT), now, skip_invalid=skip_invalid))
        show_bad_lines(result.bad_lines)
    elif STANDARD_INPUT in files:
        raise typer.BadParameter("standard input is read alone, without files")
    else:
        with progress_bar("checking", sum(_size(file) for file in files)) as bar:
            bad = check_files(files, now, bar)
        show_bad_lines(bad)
        if bad and not skip_invalid:
            raise BadLine(f"{len(bad)} bad lines; nothing was sent. Fix them, or send the rest with --skip-invalid")
        with progress_bar("publishing", sum(_size(file) for file in files)) as bar:
            result = run_async(lambda: publish_files(files, now, bar))
    print_summary({"published": result.published, "invalid": result.invalid}, as_json)
    if result.invalid:
        raise typer.Exit(1)


@app.command()
def simulate(
    events: Annotated[int, typer.Option("--events", "-n", min=1)] = 10_000,
    users: Annotated[int, typer.Option(min=1)] = 1_000,
    problems: Annotated[int, typer.Option(min=1)] = 500,
    seed: Annotated[int, typer.Option(help="The same seed and start give the same events.")] = 1,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Events a second; without it as fast as possible.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE|-", help="Write NDJSON, publish nothing.")
    ] = None,
    start: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="In UTC; by default it ends now.")
    ] = None,
    duplicates: Share = 0.05,
    disorder: Share = 0.2,
    rejudges: Share = 0.03,
    unknown_users: Share = 0.005,
    bad_records: Annotated[float, typer.Option(min=0, max=1, help="Not in files: these are no events.")] = 0.0,
    live: Annotated[float, typer.Option(min=0, help="Then go on with so many solves a second, until Ctrl-C.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Publish a simulated season.

    Seeded and realistic: popular problems, strong and weak users, rejudges, duplicates, wrong order.

    Example: solve-producer simulate --events 100000 --users 20000 --rate 1000

    Example, for pages that move: solve-producer simulate --events 20000 --live 4
    """
    if live and output:
        raise typer.BadParameter("--live is for the log, and a file would have no end; leave out --live or --output")
    season = Season(
        start=(start or datetime.now(UTC)).replace(tzinfo=UTC), seed=seed, users=users, problems=problems,
        events=events, duplicates=duplicates, disorder=disorder, rejudges=rejudges, unknown_users=unknown_users,
    )  # fmt: skip
    if start is None:
        season = season.ending_now()
    with progress_bar("simulating", events) as bar:
        if output:
            _write(season, output, bar)
            published = 0
        else:
            published = run_async(lambda: _publish_season(season, rate, bad_records, bar))
    if live:
        print_lines(f"the season is published; about {live:g} solves a second go on until Ctrl-C", to_errors=True)
        published += run_async(lambda: _go_on(season, live))
    if output != STANDARD_INPUT:
        print_summary(
            {"events": events, "published": published, "seed": seed, "start": season.start.isoformat()}, as_json
        )


async def _go_on(season: Season, rate: float) -> int:
    return await publish_live(
        KafkaConnection.of_program(), islice(simulated(season), LIVE_FROM), rate, stopping_event()
    )


async def _publish_season(season: Season, rate: float | None, bad_share: float, bar: Advance) -> int:
    async with connected_producer() as producer:
        return await producer.publish_records(_paced(season, rate, bad_share, bar))


async def _paced(season: Season, rate: float | None, bad_share: float, bar: Advance) -> AsyncIterator[EncodedRecord]:
    """The season's records at a rate, with bad ones in between: an exact share, spread evenly."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    bad = bad_records(season)
    sent_bad = 0
    for number, event in enumerate(simulated(season)):
        if rate and (early := began + number / rate - loop.time()) > 0:
            await asyncio.sleep(early)
        yield encode(event)
        owed = round((number + 1) * bad_share) - sent_bad
        for record in islice(bad, owed):
            yield record
        sent_bad += owed
        bar(1)


def _write(season: Season, output: str, bar: Advance) -> None:
    with nullcontext(sys.stdout) if output == STANDARD_INPUT else Path(output).open("w", encoding="utf-8") as file:
        file.writelines(encode_line(event) + "\n" for event in counted(simulated(season), bar))


def _size(file: str) -> int:
    path = Path(file)
    return path.stat().st_size if path.is_file() else 0
