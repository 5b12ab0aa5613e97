"""The commands under `admin`: who may log in. Each change leaves a row in the activity log, or is not made."""

import getpass
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from solve_api.errors import PasswordRefused
from solve_api.identity import accounts, audit, lockouts, sessions, tokens
from solve_api.identity.actors import Actor
from solve_api.identity.sessions import now
from solve_api.identity.tokens import DAYS_DEFAULT, DAYS_MAX, DAYS_MIN, NewToken, Scope
from solve_api.settings import ApiSettings
from solve_projector.store.command_session import command_session
from solve_projector.store.dead_letters import GREATEST_ID
from solve_projector.store.postgresql import Connection
from solve_runtime.console import (
    Json,
    command_group,
    print_json,
    print_lines,
    print_table,
    run_async,
    say,
    table,
    whole,
)
from solve_runtime.logs import configure_logs

admin_commands = command_group(
    "Manage admins and their tokens.\n\n"
    "Also names that are locked after wrong passwords, and the activity log.\n\n"
    "Example: solve-api admin create ada"
)
Name = Annotated[str, typer.Argument(metavar="NAME")]
WHOLE = ("name", "token_id", "admin")  # what other commands take
Ask = Callable[[Connection], Awaitable[Any]]


@admin_commands.command()
def create(name: Name, as_json: Json = False) -> None:
    """Create an admin.

    Asks for the password twice; without a terminal, reads it from one line of standard input.

    Example: solve-api admin create ada
    """
    password = _new_password()
    made = _act(name, "create-admin", lambda db: accounts.create_admin(db, name, password))
    say({"admin_id": made, "name": name.lower()}, f"{name.lower()} can log in now", as_json)


@admin_commands.command("list")
def list_admins(as_json: Json = False) -> None:
    """List the admins, their sessions and tokens.

    Example: solve-api admin list
    """
    found = [asdict(one) for one in _ask(accounts.admins)]
    columns = ("name", "created_at", "password_changed_at", "disabled_at", "sessions", "tokens")
    _list(found, columns, "no admins; create one with: solve-api admin create NAME", as_json)


@admin_commands.command()
def password(name: Name, as_json: Json = False) -> None:
    """Change a password, and end all sessions.

    Asks for it as `create` does.

    Example: solve-api admin password ada
    """
    chosen = _new_password()
    ended = _act(name, "change-password", lambda db: accounts.change_password(db, name, chosen))
    say({"sessions_ended": ended}, f"{name.lower()} has a new password; sessions ended: {ended}", as_json)


@admin_commands.command()
def disable(name: Name, as_json: Json = False) -> None:
    """Disable an admin, their sessions and tokens.

    The activity log keeps the name.

    Example: solve-api admin disable ada
    """
    ended = _act(name, "disable-admin", lambda db: accounts.disable(db, name))
    say({"sessions_ended": ended}, f"{name.lower()} is disabled; sessions ended: {ended}", as_json)


@admin_commands.command()
def enable(name: Name, as_json: Json = False) -> None:
    """Undo disable.

    The password works again, and so do tokens that were not revoked.

    Example: solve-api admin enable ada
    """
    _act(name, "enable-admin", lambda db: accounts.enable(db, name))
    say({"name": name.lower()}, f"{name.lower()} can log in again", as_json)


@admin_commands.command()
def unlock(name: Name, as_json: Json = False) -> None:
    """Unlock a name after wrong passwords.

    It can log in at once, before the lock ends by itself.

    Example: solve-api admin unlock ada
    """
    was = _act(name, "unlock", lambda db: lockouts.unlock(db, accounts.name_of(name), now()))
    say({"was_locked": was}, f"{name.lower()} {'is unlocked' if was else 'was not locked'}", as_json)


@admin_commands.command("logout-everywhere")
def logout_everywhere(name: Name, as_json: Json = False) -> None:
    """End all sessions of an admin.

    Example: solve-api admin logout-everywhere ada
    """

    async def end(database: Connection) -> int:
        return await sessions.end_all_sessions(database, await accounts.admin_id_of(database, name))

    ended = _act(name, "logout-everywhere", end)
    say({"sessions_ended": ended}, f"sessions ended: {ended}", as_json)


@admin_commands.command()
def token(
    name: Name,
    label: Annotated[str, typer.Option("--label", help="What uses it, such as nightly-backfill.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it may do; can be repeated.")],
    days: Annotated[
        int, typer.Option("--days", min=DAYS_MIN, max=DAYS_MAX, help="Days until it expires.")
    ] = DAYS_DEFAULT,
    as_json: Json = False,
) -> None:
    """Create a token for a script, and print it once.

    A script sends it as: Authorization: Bearer sct_…

    Example: solve-api admin token ada --label nightly --scope read --scope repair --days 30
    """
    wanted = NewToken(label, frozenset(scope), days)

    async def make(database: Connection) -> tuple[str, tokens.TokenState]:
        return await tokens.create_token(database, await accounts.admin_id_of(database, name), wanted, now())

    detail = {"label": label, "scopes": sorted(wanted.scopes), "days": days}
    raw, made = _act(name, "create-token", make, detail)
    if not as_json:
        print_lines(
            f"token {made.token_id} of {made.admin}, until {made.expires_at:%Y-%m-%d}; shown this once:", to_errors=True
        )
    say({**made.model_dump(), "token": raw}, raw, as_json)


@admin_commands.command("tokens")
def list_tokens(as_json: Json = False) -> None:
    """List the tokens of all admins.

    Without the secrets, which nobody can see again.

    Example: solve-api admin tokens --json
    """
    found = [one.model_dump() for one in _ask(tokens.tokens)]
    columns = ("token_id", "admin", "label", "scopes", "expires_at", "last_used_at", "revoked_at")
    _list(found, columns, "no tokens; create one with: solve-api admin token NAME", as_json)


@admin_commands.command("revoke-token")
def revoke_token(
    token_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=GREATEST_ID)], as_json: Json = False
) -> None:
    """Revoke a token.

    It stops working at once. Safe to repeat.

    Example: solve-api admin revoke-token 12
    """
    ended = _act(str(token_id), "revoke-token", lambda db: tokens.revoke(db, token_id, now()))
    say(ended.model_dump(), f"token {token_id} of {ended.admin} ({ended.label}) is revoked", as_json)


@admin_commands.command("activity")
def list_activity(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=audit.ROWS_MAX, help="How many rows.")] = 50,
    as_json: Json = False,
) -> None:
    """Show who did what, newest first.

    Example: solve-api admin activity -n 20
    """
    found = [one.model_dump() for one in _ask(lambda db: audit.latest(db, limit))]
    columns = ("at", "who", "via", "action", "result", "detail", "client", "request_id")
    _list(found, columns, "no activity yet", as_json)


def _new_password() -> str:
    """Never an argument: those are in the shell's history and in the list of processes."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Confirm password: ") != first:
        raise PasswordRefused("the two passwords differ; type the same one twice")
    return first


def _act(about: str, action: str, ask: Ask, detail: dict[str, Any] | None = None) -> Any:
    """Does it and logs it, both or neither."""
    actor = Actor(_login_name(), "cli")

    async def both(database: Connection) -> Any:
        async with database.transaction():
            done = await ask(database)
            await audit.record(database, actor, action, {"about": about, **(detail or {})})
            return done

    return _ask(both)


def _ask(ask: Ask) -> Any:
    settings = ApiSettings()
    configure_logs(settings.log_level, settings.log_format)

    async def work() -> Any:
        async with command_session(settings) as database:
            return await ask(database)

    return run_async(work)


def _list(found: list[dict[str, Any]], columns: tuple[str, ...], none: str, as_json: bool) -> None:
    if as_json:
        print_json(found)
    elif not found:
        print_lines(none)
    else:
        shown = table(*(whole(name) if name in WHOLE else name for name in columns))
        for one in found:
            shown.add_row(*(_text(one[name]) for name in columns))
        print_table(shown)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, dict):
        value = "; ".join(f"{name.replace('_', ' ')}: {one}" for name, one in value.items())
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
