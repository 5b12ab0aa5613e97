"""What can an operator do about records that were not applied? The commands under `solve-projector dead-letters`."""

import base64
import getpass
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from solve_projector.errors import DeadLetterUnknown, NothingParked, SelectorUnclear, WhoUnknown
from solve_projector.operations.retry_dead_letters import Retried
from solve_projector.operations.retry_dead_letters import retry as retry_letters
from solve_projector.settings import ProjectorSettings
from solve_projector.store import dead_letters
from solve_projector.store.command_session import command_session
from solve_projector.store.dead_letters import Letter, Selection
from solve_projector.store.postgresql import Connection
from solve_projector.terminal import Json, console_of_output, print_json, readable, run_async
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.logs import configure_logs
from solve_schemas.record import Reason

SHOWN_CHARS = 2_000
dead_letter_commands = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look after records that could not be applied (dead letters), and events that wait for their user (parked)."
    "\n\nExample: solve-projector dead-letters list --reason unknown-type",
)
LetterId = Annotated[int, typer.Argument(metavar="ID", min=1, max=dead_letters.GREATEST_ID)]
LetterIds = Annotated[list[int], typer.Argument(metavar="ID", min=1, max=dead_letters.GREATEST_ID)]
MaybeLetterIds = Annotated[
    list[int] | None, typer.Argument(metavar="ID", min=1, max=dead_letters.GREATEST_ID, show_default=False)
]
ByReason = Annotated[Reason | None, typer.Option("--reason", help="Only those dead for this reason.")]
ByUser = Annotated[str | None, typer.Option("--user", metavar="USER_ID", help="Only those about this user.")]
ByPartition = Annotated[int | None, typer.Option("--partition", min=0, max=2**31 - 1, help="Only those of it.")]
# What an error says is true over HTTP too; how it is said here is added.
HINTS = {
    DeadLetterUnknown: "solve-projector dead-letters list --all",
    NothingParked: "solve-projector dead-letters list --parked",
    WhoUnknown: "--by and --why",
}
By = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who decides; by default your login name.")]


@dead_letter_commands.command("list")
def list_letters(
    reason: ByReason = None,
    user: ByUser = None,
    partition: ByPartition = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000)] = 50,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were discarded.")] = False,
    parked: Annotated[bool, typer.Option("--parked", help="Parked events instead, acknowledged or not.")] = False,
    as_json: Json = False,
) -> None:
    """List open dead letters, the oldest first; with --parked the events that wait for an unknown user.

    Example: solve-projector dead-letters list --reason unknown-type --user 47020
    """
    if parked and (reason or everything):
        raise SelectorUnclear("--reason and --all are of dead letters; leave them out, or leave out --parked")
    if parked:
        rows, more = run_async(_with_database(lambda db, _: dead_letters.parked_events(db, user, partition, limit)))
    else:
        chosen = Selection(None, reason and reason.value, user, partition, None, everything)
        rows, more = run_async(_with_database(lambda db, _: dead_letters.summaries(db, chosen, limit)))
    if as_json:
        print_json(rows, ascii_only=True)
    elif rows:
        console_of_output().print(_parked_table(rows) if parked else _letter_table(rows))
    else:
        print("no parked events" if parked else "no dead letters")
    if more:
        typer.echo(f"there are more than these {limit}; see them with --limit", err=True)


@dead_letter_commands.command()
def show(
    dead_letter_id: LetterId,
    full: Annotated[bool, typer.Option("--full", help="Do not shorten long values.")] = False,
    as_json: Json = False,
) -> None:
    r"""Show one dead letter whole: why it is one, its key, headers and value.

    Characters that could steer your terminal are escaped, and bytes that are not UTF-8 are shown as \xNN. With --json
    nothing is shortened, and such bytes are base64: {"encoding": "base64", "data": "…"}.

    Example: solve-projector dead-letters show 12 --full
    """
    letter = run_async(_with_database(lambda db, _: dead_letters.letter(db, dead_letter_id)))
    if as_json:
        headers = [{"name": name, "value": _encoded(content)} for name, content in letter.headers]
        record = {"key": _encoded(letter.key), "value": _encoded(letter.value), "headers": headers}
        print_json(letter.summary() | record, ascii_only=True)
    else:
        print("\n".join(_description(letter, None if full else SHOWN_CHARS)))


@dead_letter_commands.command()
def retry(
    ids: MaybeLetterIds = None,
    reason: ByReason = None,
    user: ByUser = None,
    partition: ByPartition = None,
    everything: Annotated[bool, typer.Option("--all", help="All open dead letters.")] = False,
    as_json: Json = False,
) -> None:
    """Read dead letters again, and apply those that can be applied by now, as if the log had just given them.

    They are applied by the rule, so one that comes late never overrides a later verdict. Those that still cannot be
    applied stay, with today's reason. Safe beside running projectors, and to repeat. Discarded ones are left alone,
    unless you name them by id.

    Example, after an upgrade: solve-projector dead-letters retry --reason unknown-type
    """
    filtered = everything or any(given is not None for given in (reason, user, partition))
    if not ids and not filtered:
        raise SelectorUnclear("which dead letters? Give ids, --reason, --user, --partition, or --all")
    if ids and filtered:
        raise SelectorUnclear("give either ids or --reason, --user, --partition, --all, not both")
    chosen = Selection(tuple(ids) if ids else None, reason and reason.value, user, partition)
    retried: Retried = run_async(_with_database(lambda db, topic: retry_letters(db, topic, chosen)))
    if as_json:
        print_json({"applied": retried.applied, "parked": retried.parked, "still_dead": dict(retried.still_dead)})
    else:
        why = ", ".join(f"{number} {name}" for name, number in sorted(retried.still_dead.items()))
        print(
            f"{retried.applied} applied, {retried.parked} parked for unknown users, "
            f"{retried.still_dead.total()} still dead{f' ({why})' if why else ''}"
        )


@dead_letter_commands.command()
def discard(
    ids: LetterIds,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="For whoever asks later.")],
    by: By = None,
    as_json: Json = False,
) -> None:
    """Give up dead letters. They stay, with who, when and why, and are open no more; all of the ids, or none.

    Parked events cannot be discarded: the next replay of the log would park them again. Use: acknowledge.

    Example: solve-projector dead-letters discard 12 13 --why "a test of the new judge"
    """
    who = _who(by)
    discarded = run_async(_with_database(lambda db, _: dead_letters.discard(db, ids, who, why)))
    if as_json:
        print_json({"discarded": discarded, "by": who})
    else:
        print(f"{discarded} discarded by {readable(who)}")


@dead_letter_commands.command()
def acknowledge(
    user_id: str,
    by: By = None,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="For whoever asks later.")] = "",
    as_json: Json = False,
) -> None:
    """Make what is parked for an unknown user quiet. It is not thrown away: it applies once the user exists.

    Events that are parked for the user later are loud again.

    Example: solve-projector dead-letters acknowledge 47020 --why "a guest account, never registered"
    """
    who = _who(by)
    acknowledged = run_async(_with_database(lambda db, _: dead_letters.acknowledge(db, user_id, who, why)))
    if as_json:
        print_json({"acknowledged": acknowledged, "by": who})
    else:
        print(f"{acknowledged} parked events acknowledged by {readable(who)}; they apply once the user exists")


async def _with_database(ask: Callable[[Connection, str], Awaitable[Any]]) -> Any:
    """Asks one connection, with the name of the topic; an error says which command or option helps."""
    kafka, settings = KafkaConnection(), ProjectorSettings()
    configure_logs(settings.log_level, settings.log_format)
    try:
        async with command_session(settings) as connection:
            return await ask(connection, kafka.topic)
    except tuple(HINTS) as error:
        raise type(error)(f"{error} ({HINTS[type(error)]})") from None


def _who(by: str | None) -> str:
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise WhoUnknown("this system has no login name for you; say who decides with --by") from None


def _encoded(content: bytes | None) -> dict[str, str] | None:
    if content is None:
        return None
    try:
        return {"encoding": "utf-8", "data": content.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "data": base64.b64encode(content).decode()}


def _description(letter: Letter, limit: int | None) -> list[str]:
    lines = [
        f"dead letter {letter.dead_letter_id}: {readable(letter.reason)}",
        f"because    {readable(letter.detail)}",
        f"record     {readable(letter.topic)}, partition {letter.partition}, offset {letter.offset}, "
        f"broker time {_time(letter.broker_time)}",
        f"user       {_or_unknown(letter.user_id)}",
        f"kept at    {_time(letter.created_at)}",
    ]
    if letter.discarded:
        at, by, why = letter.discarded
        lines.append(f"discarded  by {readable(by)} at {_time(at)}: {readable(why)}")
    lines.append(f"key        {_shown(letter.key, limit)}")
    lines += [f"header     {readable(name)}: {_shown(content, limit)}" for name, content in letter.headers]
    return [*lines, f"value      {_shown(letter.value, limit)}"]


def _shown(content: bytes | None, limit: int | None) -> str:
    if content is None:
        return "(none)"
    text = readable(content)
    if limit is None or len(text) <= limit:
        return text
    return f"{text[:limit]}… (cut; {len(content)} bytes in all, --full shows them)"


def _letter_table(rows: list[dict[str, Any]]) -> Table:
    place, time = Column("topic partition:offset", overflow="fold"), Column("broker time (UTC)", no_wrap=True)
    table = Table(Column("id", overflow="fold"), place, time, "user", "reason", "detail", box=None)
    for row in rows:
        decided = row["discarded"]
        given_up = f" (discarded by {decided['by']}: {decided['why']})" if decided else ""
        table.add_row(
            str(row["id"]),
            _cell(f"{row['topic']} {row['partition']}:{row['offset']}"),
            _time(row["broker_time"]),
            _cell(_or_unknown(row["user_id"])),
            _cell(row["reason"]),
            _cell(row["detail"] + given_up),
        )
    return table


def _parked_table(rows: list[dict[str, Any]]) -> Table:
    judged = Column("judged (UTC)", no_wrap=True)
    table = Table("user", "problem", "submission", "verdict", judged, "partition:offset", "acknowledged", box=None)
    for row in rows:
        quiet = row["acknowledged"]
        table.add_row(
            _cell(row["user_id"]),
            _cell(row["problem_id"]),
            _cell(row["submission_id"]),
            "solved" if row["solved"] else "revoked",
            _time(row["judged_at"]),
            f"{row['source_partition']}:{row['source_offset']}",
            _cell(f"by {quiet['by']} {quiet['why']}".strip()) if quiet else "no",
        )
    return table


def _cell(text: str) -> Text:
    return Text(readable(text))  # not as markup: what strangers wrote may hold brackets


def _or_unknown(user_id: str | None) -> str:
    return "unknown" if user_id is None else readable(user_id)


def _time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}Z" if time else "unknown"
