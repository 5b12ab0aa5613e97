"""The commands of the transactional outbox: `outbox ddl` prints its table, `relay` publishes what is in it."""

from dataclasses import asdict
from typing import Annotated

import typer

from solve_producer.cli.source_option import checked_source
from solve_producer.cli.summary import print_summary
from solve_runtime.console import Json, command_group, print_lines, run_async, stopping_event
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.logs import configure_logs
from solve_runtime.settings import read_together
from solve_schemas.event_source import DEFAULT_SOURCE
from solve_sources.outbox.ddl import Dialect, ddl
from solve_sources.tables.settings import require_clients

app = command_group("The transactional outbox in a judge's own database.")


@app.callback()
def _group() -> None:
    return


@app.command("ddl")
def print_ddl(
    dialect: Annotated[Dialect, typer.Option("--for", help="The judge's database; MariaDB is mysql.")],
    writer: Annotated[str | None, typer.Option(help="The judge's role, which adds rows; in MySQL user@host.")] = None,
    relay_role: Annotated[str | None, typer.Option("--relay", help="The role of the relay.")] = None,
) -> None:
    """Print the SQL of the outbox's table, with grants.

    Applying it again changes nothing.

    Example: solve-producer outbox ddl --for postgresql | psql judge

    Example: solve-producer outbox ddl --for mysql --writer judge@localhost --relay relay@% | mariadb judge
    """
    print_lines(*ddl(dialect, writer, relay_role).splitlines())


def relay(
    once: Annotated[bool, typer.Option("--once", help="End after what is in the table now.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Mark rows as published, instead of deleting them.")] = False,
    source: Annotated[
        str,
        typer.Option(callback=checked_source, help="The name of the judge in each event (CloudEvents `source`)."),
    ] = DEFAULT_SOURCE,
    as_json: Json = False,
) -> None:
    """Publish the rows of a judge's outbox.

    A row leaves the table once the broker has it. A row that is no event is set aside in the table, with the reason;
    with --once the command then exits with 1. Several relays may run; one works, and another goes on where it ends.

    The judge's database (PostgreSQL, MySQL or MariaDB) comes from OUTBOX_DATABASE_URL.

    Example: solve-producer relay

    Example: solve-producer relay --once
    """
    require_clients()
    from solve_producer.client import SolveProducer
    from solve_sources.outbox.relay import DELIVERY_TIMEOUT_S, Relay, Relayed
    from solve_sources.outbox.settings import OutboxSettings
    from solve_sources.outbox.telemetry import RelayTelemetry, serving

    async def work() -> Relayed:
        connection, settings = read_together(KafkaConnection.of_program, OutboxSettings)
        configure_logs(settings.log_level, settings.log_format)
        telemetry = RelayTelemetry()
        made = SolveProducer(connection, delivery_timeout_s=DELIVERY_TIMEOUT_S, registry=telemetry.registry)
        async with serving(settings, telemetry), made as producer:
            one = Relay(settings, producer, telemetry, source=source, keep=keep)
            await (one.run_once() if once else one.run(stopping_event()))
        return one.done

    done = run_async(work)
    if once:
        print_summary(asdict(done), as_json)
        if done.refused:
            raise typer.Exit(1)
