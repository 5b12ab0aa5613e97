"""The commands of `solve-producer follow`."""

import asyncio
from typing import Annotated

import typer

from solve_producer.cli.source_option import checked_source
from solve_runtime.console import command_group, print_lines, run_async
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.logs import configure_logs
from solve_runtime.settings import read_together
from solve_sources.tables.settings import require_clients

app = command_group("Follow a contest while it runs.")


@app.callback()
def _group() -> None:
    return


@app.command("clics")
def follow_clics(
    url: Annotated[str, typer.Argument(help="Of the contest in its API: https://HOST/api/contests/ID")],
    contest_id: Annotated[str | None, typer.Option(help="In place of the contest's own id.")] = None,
    source: Annotated[
        str | None,
        typer.Option(callback=checked_source, help="The name under which the contest is counted; by default its URL."),
    ] = None,
    contest_time_only: Annotated[
        bool, typer.Option("--contest-time-only", help="Leave out submissions before the start or after the end.")
    ] = False,
    ignore_freeze: Annotated[
        bool, typer.Option("--ignore-freeze", help="Follow also what was handed in since a freeze that lasts.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Take back more than a tenth of what was counted.")] = False,
) -> None:
    """Follow a contest system's live feed (CLICS).

    It ends once the contest's results are final. Run it for days: it reconnects, and compares everything again where
    the feed cannot go on. While the scoreboard is frozen, what was handed in since is left as it stands. Credentials
    come from CLICS_USERNAME and CLICS_PASSWORD, or from CLICS_TOKEN.

    Example: solve-producer follow clics https://judge.example/api/contests/finals
    """
    require_clients()
    from solve_projector.settings import ProjectorSettings
    from solve_sources.clics.contest import Contest
    from solve_sources.clics.following import Follower
    from solve_sources.clics.http_feed import ContestLogin, HttpFeed
    from solve_sources.clics.importing import ContestImport
    from solve_sources.clics.settings import FollowSettings
    from solve_sources.clics.telemetry import serving
    from solve_sources.clics.verdicts import Reading

    async def follow() -> None:
        connection, settings, shown = read_together(KafkaConnection.of_program, ProjectorSettings, FollowSettings)
        configure_logs(settings.log_level, settings.log_format)
        feed = HttpFeed(url, ContestLogin())
        name = feed.place.url
        reading = Reading(contest_id, contest_time_only, hold_frozen=not ignore_freeze)
        with Contest() as contest:
            wanted = ContestImport(name, reading, source or name, yes)
            follower = Follower(contest, wanted, feed)
            async with serving(shown, follower.telemetry):
                await follower.follow(connection, settings)

    try:
        run_async(follow)
    except asyncio.CancelledError:
        print_lines("solve-producer: stopped; start it again to go on where the feed is", to_errors=True)
        return
    print_lines("the contest's results are final; everything was followed", to_errors=True)
