"""How does an operator look after admins? The commands under `solve-api admin`; every one leaves a row of the audit."""

import getpass
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from solve_api.errors import PasswordRefused
from solve_api.identity import accounts, audit, lockouts, sessions, tokens
from solve_api.identity.audit import Entry
from solve_api.identity.tokens import LEAST_DAYS, MOST_DAYS, USUAL_DAYS, NewToken, Scope
from solve_api.settings import ApiSettings
from solve_projector.store.command_session import command_session
from solve_projector.store.dead_letters import GREATEST_ID
from solve_projector.store.postgresql import Connection
from solve_projector.terminal import Json, console_of_output, print_json, readable, run_async
from solve_runtime.logs import configure_logs

admin_commands = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look after who may log in: admins, their tokens, locked names, and what they did.\n\n"
    "Example: solve-api admin create ada",
)
Name = Annotated[str, typer.Argument(metavar="NAME")]
Ask = Callable[[Connection], Awaitable[Any]]


@admin_commands.command()
def create(name: Name, as_json: Json = False) -> None:
    """Make an admin. Asks for the password twice; where there is no terminal, reads it from one line of input.

    Example: solve-api admin create ada
    """
    password = _new_password()
    made = _act(name, "create-admin", lambda db: accounts.create_admin(db, name, password))
    _say({"admin_id": made, "name": name.lower()}, f"{name.lower()} can log in now", as_json)


@admin_commands.command("list")
def list_admins(as_json: Json = False) -> None:
    """List the admins, and how many browsers and tokens of theirs are open.

    Example: solve-api admin list
    """
    found = [asdict(one) for one in _ask(accounts.admins)]
    columns = ("name", "created_at", "password_changed_at", "disabled_at", "sessions", "tokens")
    _list(found, columns, "no admins; make one with: solve-api admin create NAME", as_json)


@admin_commands.command()
def password(name: Name, as_json: Json = False) -> None:
    """Give an admin another password, and log them out everywhere.

    Example: solve-api admin password ada
    """
    chosen = _new_password()
    ended = _act(name, "change-password", lambda db: accounts.change_password(db, name, chosen))
    _say({"sessions_ended": ended}, f"{name.lower()} has another password; sessions ended: {ended}", as_json)


@admin_commands.command()
def disable(name: Name, as_json: Json = False) -> None:
    """Let nobody in by this name: no log-in, session or token of theirs works any more. The audit keeps the name.

    Example: solve-api admin disable ada
    """
    ended = _act(name, "disable-admin", lambda db: accounts.disable(db, name))
    _say({"sessions_ended": ended}, f"{name.lower()} is disabled; sessions ended: {ended}", as_json)


@admin_commands.command()
def enable(name: Name, as_json: Json = False) -> None:
    """Undo disable: the password works again, and so do tokens that were not revoked.

    Example: solve-api admin enable ada
    """
    _act(name, "enable-admin", lambda db: accounts.enable(db, name))
    _say({"name": name.lower()}, f"{name.lower()} can log in again", as_json)


@admin_commands.command()
def unlock(name: Name, as_json: Json = False) -> None:
    """Forget the wrong passwords of a name, so that it can be tried again before the lock ends by itself.

    Example: solve-api admin unlock ada
    """
    was = _act(name, "unlock", lambda db: lockouts.unlock(db, accounts.name_of(name), _now()))
    _say({"was_locked": was}, f"{name.lower()} {'is unlocked' if was else 'was not locked'}", as_json)


@admin_commands.command("logout-everywhere")
def logout_everywhere(name: Name, as_json: Json = False) -> None:
    """End all sessions of an admin, in whichever browser.

    Example: solve-api admin logout-everywhere ada
    """

    async def end(database: Connection) -> int:
        return await sessions.end_all_sessions(database, await accounts.admin_id_of(database, name))

    ended = _act(name, "log-out-everywhere", end)
    _say({"sessions_ended": ended}, f"sessions ended: {ended}", as_json)


@admin_commands.command()
def token(
    name: Name,
    label: Annotated[str, typer.Option("--label", help="What uses it, such as: nightly backfill.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it may do; can be given again.")],
    days: Annotated[
        int, typer.Option("--days", min=LEAST_DAYS, max=MOST_DAYS, help="It ends after so many.")
    ] = USUAL_DAYS,
    as_json: Json = False,
) -> None:
    """Make a token for a script, and print it: nobody can see it again. Sent as: Authorization: Bearer sct_…

    Example: solve-api admin token ada --label nightly --scope read --scope repair --days 30
    """
    wanted = NewToken(label, frozenset(scope), days)

    async def make(database: Connection) -> tuple[str, tokens.Token]:
        return await tokens.create_token(database, await accounts.admin_id_of(database, name), wanted, _now())

    detail = {"label": label, "scopes": sorted(wanted.scopes), "days": days}
    raw, made = _act(name, "create-token", make, detail)
    if not as_json:
        typer.echo(
            f"token {made.token_id} of {made.admin}, until {made.expires_at:%Y-%m-%d}; shown this once:", err=True
        )
    _say({**asdict(made), "token": raw}, raw, as_json)


@admin_commands.command("tokens")
def list_tokens(as_json: Json = False) -> None:
    """List every admin's tokens, without the secrets.

    Example: solve-api admin tokens --json
    """
    found = [asdict(one) for one in _ask(tokens.tokens)]
    columns = ("token_id", "admin", "label", "scopes", "expires_at", "last_used_at", "revoked_at")
    _list(found, columns, "no tokens; make one with: solve-api admin token", as_json)


@admin_commands.command("revoke-token")
def revoke_token(
    token_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=GREATEST_ID)], as_json: Json = False
) -> None:
    """End a token at once; safe to repeat.

    Example: solve-api admin revoke-token 12
    """
    ended = _act(str(token_id), "revoke-token", lambda db: tokens.revoke(db, token_id, _now()))
    _say(asdict(ended), f"token {token_id} of {ended.admin} ({readable(ended.label)}) works no more", as_json)


@admin_commands.command("audit")
def list_audit(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=audit.MOST)] = 50, as_json: Json = False
) -> None:
    """Show who did what, the newest first.

    Example: solve-api admin audit -n 20
    """
    found = [asdict(one) for one in _ask(lambda db: audit.latest(db, limit))]
    columns = ("at", "who", "via", "action", "result", "detail", "client", "request_id")
    _list(found, columns, "nobody did anything yet", as_json)


def _new_password() -> str:
    """Never an argument: those are in the shell's history and in the list of processes."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise PasswordRefused("the two passwords differ; type the same twice")
    return first


def _act(about: str, action: str, ask: Ask, detail: dict[str, Any] | None = None) -> Any:
    """Does it and writes it down, both or neither."""
    entry = Entry(_login_name(), "cli", action, {"about": about, **(detail or {})})

    async def both(database: Connection) -> Any:
        async with database.transaction():
            done = await ask(database)
            await audit.record(database, entry)
            return done

    return _ask(both)


def _ask(ask: Ask) -> Any:
    return run_async(_asked(ask))


async def _asked(ask: Ask) -> Any:
    settings = ApiSettings()
    configure_logs(settings.log_level, settings.log_format)
    async with command_session(settings) as database:
        return await ask(database)


def _say(found: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        print_json(found, ascii_only=True)
    else:
        print(text)


def _list(found: list[dict[str, Any]], columns: tuple[str, ...], none: str, as_json: bool) -> None:
    if as_json:
        print_json(found, ascii_only=True)
    elif not found:
        print(none)
    else:
        table = Table(*columns, box=None)
        for one in found:
            table.add_row(*(_cell(one[name]) for name in columns))
        console_of_output().print(table, markup=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, dict):
        value = "; ".join(f"{name.replace('_', ' ')}: {one}" for name, one in value.items())
    return readable(" ".join(value) if isinstance(value, tuple) else str(value))


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def _now() -> datetime:
    return datetime.now(UTC)
