"""The command `import clics`: publishes a contest from its event feed."""

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from solve_producer.cli.event_file import STANDARD_INPUT, open_events
from solve_producer.cli.source_option import checked_source
from solve_runtime.console import Json, print_json, print_json_line, print_lines, progress_bar, run_async
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.settings import read_together
from solve_sources.tables.settings import require_clients
from solve_sources.text import input_name

if TYPE_CHECKING:
    from solve_sources.clics.contest import Contest
    from solve_sources.clics.importing import ContestImport, CountedContest

FOLLOWING = "solve-producer: following standard input; what it does not name is taken back at its end"


def import_clics(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A contest's event feed (NDJSON).")],
    contest_id: Annotated[str | None, typer.Option(help="Where the feed does not name its contest.")] = None,
    source: Annotated[
        str | None,
        typer.Option(
            callback=checked_source,
            help="The name under which the contest is counted; by default /clics/ and its id.",
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="The feed is not all of the contest: what it does not name stays.")
    ] = False,
    contest_time_only: Annotated[
        bool, typer.Option("--contest-time-only", help="Leave out submissions before the start or after the end.")
    ] = False,
    respect_freeze: Annotated[
        bool,
        typer.Option("--respect-freeze", help="While it is frozen, leave alone what was handed in since the freeze."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Take back more than a tenth of what was counted.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the events as NDJSON and publish nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a contest system's CLICS event feed.

    Teams become users, judgements become verdicts. A feed is all of its contest: what was counted from it before and
    does not stand in it now is taken back. Standard input is followed as it comes.

    Example: solve-producer import clics event-feed.ndjson

    Example: curl -sN https://judge/api/contests/cup/event-feed | solve-producer import clics -
    """
    require_clients()
    from solve_sources.clics.contest import Contest
    from solve_sources.clics.importing import ContestImport
    from solve_sources.clics.verdicts import Reading

    reading = Reading(contest_id, contest_time_only, respect_freeze, whole=not partial)
    wanted = ContestImport(input_name(file), reading, source, yes)
    with Contest() as contest:
        if file == STANDARD_INPUT and not dry_run:
            print_lines(FOLLOWING, to_errors=True)
            _finish(run_async(lambda: _follow(contest, wanted)), as_json)
            return
        _read(contest, file)
        if dry_run:
            run_async(lambda: _print(contest, wanted, as_json))
        else:
            _finish(run_async(lambda: _publish(contest, wanted)), as_json)


def _read(contest: "Contest", file: str) -> None:
    from solve_sources.clics.feed import feed_changes, feed_lines

    with closing(open_events(file)) as stream, progress_bar("reading", 0) as bar:
        name = input_name(file)
        for change in feed_changes(feed_lines(stream, name), name):
            contest.apply(change)
            bar(1)


async def _follow(contest: "Contest", wanted: "ContestImport") -> "CountedContest":
    from solve_projector.settings import ProjectorSettings
    from solve_sources.clics.feed import feed_changes, feed_lines
    from solve_sources.clics.piped import follow_pipe

    connection, settings = read_together(KafkaConnection.of_program, ProjectorSettings)
    changes = feed_changes(feed_lines(open_events(STANDARD_INPUT), wanted.name), wanted.name)
    return await follow_pipe(changes, contest, wanted, connection, settings)


async def _publish(contest: "Contest", wanted: "ContestImport") -> "CountedContest":
    from solve_projector.settings import ProjectorSettings
    from solve_sources.clics.importing import open_contest

    connection, settings = read_together(KafkaConnection.of_program, ProjectorSettings)
    async with open_contest(contest, wanted, connection, settings) as counted:
        await counted.reconcile()
    return counted


async def _print(contest: "Contest", wanted: "ContestImport", as_json: bool) -> None:
    from solve_projector.settings import ProjectorSettings
    from solve_schemas.record import encode_line
    from solve_sources.clics.importing import open_contest

    connection, settings = read_together(KafkaConnection.of_program, ProjectorSettings)
    async with open_contest(contest, wanted, connection, settings) as counted:
        for event in counted.needed():
            print_json_line(encode_line(event))
        _summarize(counted, as_json, dry_run=True)
        counted.require_few()
    _require_decided(counted)


def _finish(counted: "CountedContest", as_json: bool) -> None:
    _summarize(counted, as_json)
    _require_decided(counted)


def _summarize(counted: "CountedContest", as_json: bool, *, dry_run: bool = False) -> None:
    published = counted.published
    if as_json:
        found = {"published": published.total, **asdict(published), **asdict(counted.report)}
        print_json(found, to_errors=dry_run)
    else:
        lines = published.people("would be " if dry_run else "")
        print_lines(*counted.report.people(), *lines, to_errors=dry_run)


def _require_decided(counted: "CountedContest") -> None:
    if counted.report.undecided_judgements:
        raise typer.Exit(1)
