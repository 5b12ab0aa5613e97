"""The commands under `dead-letters`: records that could not be applied, and events that wait for their user."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from solve_projector.cli.options import load_settings
from solve_projector.errors import DeadLetterUnknown, NothingParked, SelectorUnclear, WhoUnknown
from solve_projector.operations.retry_dead_letters import Retried
from solve_projector.operations.retry_dead_letters import retry as retry_letters
from solve_projector.store import dead_letters
from solve_projector.store.command_session import command_session
from solve_projector.store.dead_letters import Selection, StoredDeadLetter
from solve_projector.store.postgresql import Connection
from solve_runtime.console import (
    Json,
    command_group,
    output_width,
    print_json,
    print_lines,
    print_table,
    run_async,
    say,
    table,
    whole,
)
from solve_runtime.system_user import described_user
from solve_runtime.text import readable
from solve_schemas.rejection import Reason

SHOWN_CHARS = 2_000
NARROW = 120  # columns; below, only what tells the rows apart
STILL_DEAD = 1
dead_letter_commands = command_group(
    "Handle dead letters and parked events.\n\n"
    "A dead letter is a record that could not be applied. A parked event waits until its user is registered.\n\n"
    "Example: solve-projector dead-letters list --reason unknown-type"
)
LetterId = Annotated[int, typer.Argument(metavar="ID", min=1, max=dead_letters.GREATEST_ID)]
LetterIds = Annotated[list[int], typer.Argument(metavar="ID", min=1, max=dead_letters.GREATEST_ID)]
MaybeLetterIds = Annotated[
    list[int] | None, typer.Argument(metavar="ID", min=1, max=dead_letters.GREATEST_ID, show_default=False)
]
ByReason = Annotated[
    Reason | None,
    typer.Option("--reason", metavar="REASON", help=f"Only those with a reason: {', '.join(Reason)}."),
]
ByUser = Annotated[str | None, typer.Option("--user", metavar="USER_ID", help="Only those of this user.")]
ByPartition = Annotated[
    int | None, typer.Option("--partition", min=0, max=2**31 - 1, help="Only those of a partition.")
]
# An error's text is true over HTTP too; what helps here is added.
HINTS = {
    DeadLetterUnknown: "solve-projector dead-letters list --all",
    NothingParked: "solve-projector dead-letters list --parked",
    WhoUnknown: "--by and --why",
}
By = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who decides; by default your login name.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for whoever asks later.")]


@dead_letter_commands.command("list")
def list_letters(
    reason: ByReason = None,
    user: ByUser = None,
    partition: ByPartition = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="How many rows.")] = 50,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were discarded.")] = False,
    parked: Annotated[
        bool, typer.Option("--parked", help="Parked events instead: one row a user, or every event of --user.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List open dead letters, or parked events.

    Dead letters come oldest first; of parked events, acknowledged or not, first the users who have waited longest.

    Example: solve-projector dead-letters list --reason unknown-type --user 47020

    Example: solve-projector dead-letters list --parked
    """
    if parked and (reason or everything):
        raise SelectorUnclear("--reason and --all select dead letters; leave them out, or leave out --parked")
    if not parked:
        chosen = Selection(None, reason and reason.value, user, partition, None, everything)
        rows, more = _ask(lambda db, _: dead_letters.summaries(db, chosen, limit))
        layout = _letter_table
    elif user is None:
        rows, more = _ask(lambda db, _: dead_letters.parked_users(db, partition, limit))
        layout = _parked_users_table
    else:
        rows, more = _ask(lambda db, _: dead_letters.parked_events(db, user, partition, limit))
        layout = _parked_table
    if as_json:
        print_json(rows)
    elif rows:
        print_table(layout(rows, (output_width() or NARROW) < NARROW))
    else:
        print_lines("no parked events" if parked else "no dead letters")
    if more:
        print_lines(f"there are more than these {limit}; show more with --limit", to_errors=True)


@dead_letter_commands.command()
def show(
    dead_letter_id: LetterId,
    full: Annotated[bool, typer.Option("--full", help="Do not shorten long values.")] = False,
    as_json: Json = False,
) -> None:
    r"""Show a dead letter: reason, key, headers, value.

    Characters that could steer your terminal are escaped, and bytes that are not UTF-8 appear as \xNN. With --json
    nothing is shortened, and such bytes are base64: {"encoding": "base64", "data": "…"}.

    Example: solve-projector dead-letters show 12 --full
    """
    letter = _ask(lambda db, _: dead_letters.read_dead_letter(db, dead_letter_id))
    if as_json:
        print_json(letter.summary() | letter.record())
    else:
        print_lines(*_description(letter, None if full else SHOWN_CHARS))


@dead_letter_commands.command()
def retry(
    ids: MaybeLetterIds = None,
    reason: ByReason = None,
    user: ByUser = None,
    partition: ByPartition = None,
    everything: Annotated[bool, typer.Option("--all", help="All open dead letters.")] = False,
    as_json: Json = False,
) -> None:
    """Apply dead letters that can be applied by now.

    They are decoded and applied as if the log had just delivered them; the rule decides, so a late one never overrides
    a later verdict. Those that still cannot be applied stay, with today's reason, and the exit status is 1. Safe to
    repeat, and while projectors run. Discarded ones are retried only if you name their ids.

    Example, after an upgrade: solve-projector dead-letters retry --reason unknown-type
    """
    filtered = everything or any(given is not None for given in (reason, user, partition))
    if not ids and not filtered:
        raise SelectorUnclear("which dead letters? Give ids, --reason, --user, --partition, or --all")
    if ids and filtered:
        raise SelectorUnclear("give either ids or --reason, --user, --partition, --all, not both")
    chosen = Selection(tuple(ids) if ids else None, reason and reason.value, user, partition)
    retried: Retried = _ask(lambda db, topic: retry_letters(db, topic, chosen))
    why = ", ".join(f"{number} {name}" for name, number in sorted(retried.still_dead.items()))
    said = (
        f"{retried.applied} applied, {retried.parked} parked for unknown users, "
        f"{retried.still_dead.total()} still dead{f' ({why})' if why else ''}"
    )
    figures = {"applied": retried.applied, "parked": retried.parked, "still_dead": dict(retried.still_dead)}
    say(figures, said, as_json)
    if retried.still_dead:
        raise typer.Exit(STILL_DEAD)


@dead_letter_commands.command()
def discard(
    ids: LetterIds,
    why: Why,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Discard dead letters: they stay, but are no longer open.

    Who, when and why is kept with them. All of the ids are discarded, or none. Parked events cannot be discarded, since
    the next replay would park them again: acknowledge them.

    Example: solve-projector dead-letters discard 12 13 --why "a test of the new judge"
    """
    who = described_user() if by is None else by
    discarded = _ask(lambda db, _: dead_letters.discard(db, ids, who, why))
    say({"discarded": discarded, "by": who}, f"{discarded} discarded by {who}", as_json)


@dead_letter_commands.command()
def acknowledge(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID")],
    by: By = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Stop alerts about a user's parked events.

    The events stay, and apply once the user exists. Events that are parked for the user later raise alerts again.

    Example: solve-projector dead-letters acknowledge 47020 --why "a guest account, never registered"
    """
    who = described_user() if by is None else by
    acknowledged = _ask(lambda db, _: dead_letters.acknowledge(db, user_id, who, why))
    said = f"{acknowledged} parked events acknowledged by {who}; they apply once the user exists"
    say({"acknowledged": acknowledged, "by": who}, said, as_json)


def _ask(question: Callable[[Connection, str], Awaitable[Any]]) -> Any:
    """Asks one connection, with the name of the topic; an error says which command or option helps."""
    connection, settings = load_settings()

    async def work() -> Any:
        async with command_session(settings) as database:
            return await question(database, connection.topic)

    try:
        return run_async(work)
    except tuple(HINTS) as error:
        raise type(error)(f"{error} ({HINTS[type(error)]})") from None


def _description(letter: StoredDeadLetter, limit: int | None) -> list[str]:
    lines = [
        f"dead letter {letter.dead_letter_id}: {letter.reason}",
        f"detail     {letter.detail}",
        f"record     {letter.topic}, partition {letter.partition}, offset {letter.offset}, "
        f"broker time {_time(letter.broker_time)}",
        f"user       {_or_unknown(letter.user_id)}",
        f"kept at    {_time(letter.created_at)}",
    ]
    if letter.discarded:
        at, by, why = letter.discarded
        lines.append(f"discarded  by {by} at {_time(at)}: {why}")
    lines.append(f"key        {_shown(letter.key, limit)}")
    lines += [f"header     {name}: {_shown(content, limit)}" for name, content in letter.headers]
    return [*lines, f"value      {_shown(letter.value, limit)}"]


def _shown(content: bytes | None, limit: int | None) -> str:
    if content is None:
        return "(none)"
    text = readable(content)
    if limit is None or len(text) <= limit:
        return text
    return f"{text[:limit]}… (cut; {len(content)} bytes in all, --full shows them)"


def _letter_table(rows: list[dict[str, Any]], narrow: bool) -> Table:
    wide: list[str | Column] = [] if narrow else ["topic", whole("broker time (UTC)")]
    offset = whole("partition:offset")
    shown = table(whole("id"), *wide, offset, "user", "reason", "detail")
    for row in rows:
        decided = row["discarded"]
        discarded = f" (discarded by {decided['by']}: {decided['why']})" if decided else ""
        shown.add_row(
            str(row["id"]),
            *(() if narrow else (row["topic"], _time(row["broker_time"]))),
            f"{row['partition']}:{row['offset']}",
            _or_unknown(row["user_id"]),
            row["reason"],
            row["detail"] + discarded,
        )
    return shown


def _parked_users_table(rows: list[dict[str, Any]], narrow: bool) -> Table:
    oldest = whole("oldest" if narrow else "oldest parked (UTC)")
    shown = table(whole("user"), Column("events", justify="right"), oldest, "acknowledged")
    for row in rows:
        quiet = f"{row['acknowledged']}, by {row['acknowledged_by']}" if row["acknowledged"] else "no"
        shown.add_row(row["user_id"], str(row["events"]), _time(row["oldest_parked_at"]), quiet)
    return shown


def _parked_table(rows: list[dict[str, Any]], narrow: bool) -> Table:
    sources = ["source"] if not narrow and any(row["source"] for row in rows) else []
    places = [] if narrow else ["partition:offset"]
    shown = table("problem", "submission", "verdict", whole("judged (UTC)"), *places, *sources, "acknowledged")
    for row in rows:
        quiet = row["acknowledged"]
        shown.add_row(
            row["problem_id"],
            row["submission_id"],
            "solved" if row["solved"] else "revoked",
            _time(row["judged_at"]),
            *(() if narrow else (f"{row['source_partition']}:{row['source_offset']}",)),
            *(row[name] for name in sources),
            f"by {quiet['by']} {quiet['why']}".strip() if quiet else "no",
        )
    return shown


def _or_unknown(user_id: str | None) -> str:
    return "unknown" if user_id is None else user_id


def _time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}Z" if time else "unknown"
