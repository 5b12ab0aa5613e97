"""The command `import standings`: publishes a contest from a file of standings."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from solve_producer.cli.publishing import connected_producer
from solve_producer.cli.source_option import checked_source
from solve_runtime.console import Json, print_json, print_json_line, print_lines, run_async
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.settings import read_together
from solve_sources.tables.settings import require_clients

if TYPE_CHECKING:
    from collections.abc import Callable

    from solve_sources.ranklists.importing import Extent
    from solve_sources.ranklists.standings import Standings
    from solve_sources.reconciliation.reconciling import Reconciled


def import_standings(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The standings, as JSON.")],
    form: Annotated[
        str | None,
        typer.Option("--format", help="In place of what the file shows, such as srk."),
    ] = None,
    contest_id: Annotated[str | None, typer.Option(help="Where the file does not name its contest.")] = None,
    teams: Annotated[str | None, typer.Option(metavar="FILE", help="The teams, beside a CLICS scoreboard.")] = None,
    default_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="The time of what has none (RFC 3339).")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            callback=checked_source,
            help="The name under which the contest is counted; by default /standings/ and its id.",
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="It is not all of the contest: what it does not name stays.")
    ] = False,
    respect_freeze: Annotated[
        bool, typer.Option("--respect-freeze", help="While it is frozen, add nothing handed in since the freeze.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Take back more than a tenth of what was counted.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the events as NDJSON and publish nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a contest from its public standings.

    Standard Ranklist (srk), the Codeforces API's contest.standings and contest.status, and a CLICS scoreboard with its
    teams. What was counted from the contest before, and is not in the file now, is taken back.

    Example: solve-producer import standings icpc2024.srk.json --contest-id icpc2024

    Example: solve-producer import standings scoreboard.json --teams teams.json --contest-id finals
    """
    require_clients()
    from solve_sources.errors import StandingsUnusable
    from solve_sources.ranklists.forms import FORMS, read_file
    from solve_sources.ranklists.importing import Extent
    from solve_sources.tables.mapping import moment_of

    if form is not None and form not in FORMS:
        raise StandingsUnusable(f'--format "{form}" is none of {", ".join(FORMS)}')
    default = moment_of(default_time, "--default-time") if default_time else None
    extent = Extent(not partial, respect_freeze)
    standings = read_file(file, form, contest_id=contest_id, teams=teams, default_time=default)

    def summarize(done: "Reconciled") -> None:
        if as_json:
            found = {"published": done.total, **asdict(done), "report": asdict(standings.report)}
            print_json(found, to_errors=dry_run)
        else:
            lines = done.people("would be " if dry_run else "")
            print_lines(*standings.report.people(), *lines, to_errors=dry_run)

    run_async(lambda: _import(standings, source, extent, summarize, agreed=yes, dry_run=dry_run))


async def _import(
    standings: "Standings",
    source: str | None,
    extent: "Extent",
    summarize: "Callable[[Reconciled], None]",
    *,
    agreed: bool,
    dry_run: bool,
) -> None:
    from datetime import UTC, datetime

    from solve_projector.settings import ProjectorSettings
    from solve_schemas.record import encode_line
    from solve_sources.ranklists.importing import import_standings, needed, source_of
    from solve_sources.reconciliation.counted import open_counted
    from solve_sources.reconciliation.reconciling import Reconciled, Round, require_few

    connection, settings = read_together(KafkaConnection.of_program, ProjectorSettings)
    name = source or source_of(standings)
    async with (
        open_counted(connection, settings, name, standings.contest_id) as counted,
        connected_producer(connection, name) as producer,
    ):
        if not dry_run:
            summarize(await import_standings(standings, counted, producer.publish, extent, agreed=agreed))
            return
        would = Reconciled(dead_letters=counted.dead_letters)
        for page in needed(standings, counted, Round(counted.ledger, datetime.now(UTC)), extent):
            for event in page:
                print_json_line(encode_line(event))
                would.add(event)
        summarize(would)
        require_few(would.taken_back, counted.ledger, agreed=agreed)
