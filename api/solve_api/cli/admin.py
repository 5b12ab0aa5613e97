"""The commands under `admin`: who may log in. Each leaves a row in the activity log, also refused, or does nothing."""

import getpass
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from solve_api.database import transaction
from solve_api.errors import AuditRefused, PasswordRefused
from solve_api.identity import accounts, audit, lockouts, sessions, tokens
from solve_api.identity.actors import Actor
from solve_api.identity.sessions import now
from solve_api.identity.tokens import DAYS_DEFAULT, DAYS_MAX, DAYS_MIN, NewToken, Scope
from solve_api.settings import ApiSettings
from solve_projector.store.command_session import command_session
from solve_projector.store.dead_letters import GREATEST_ID
from solve_projector.store.postgresql import DATABASE_ERRORS, Connection
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
from solve_runtime.errors import SolveCountsError
from solve_runtime.logs import configure_logs
from solve_runtime.standard_streams import InputUnusable, input_line
from solve_runtime.system_user import claimed_users, system_user

admin_commands = command_group(
    "Manage admins and their tokens.\n\n"
    "Also names that are locked after wrong passwords, and the activity log.\n\n"
    "Example: solve-api admin create ada"
)
Name = Annotated[str, typer.Argument(metavar="NAME")]
WHOLE = ("name", "token_id", "admin")  # what other commands take
PASSWORD_LINE_BYTES = 4096  # more than any password has
Typed = tuple[str, str] | InputUnusable  # what could not be read is recorded too
Ask = Callable[[Connection], Awaitable[Any]]


@admin_commands.command()
def create(name: Name, as_json: Json = False) -> None:
    """Create an admin.

    Asks for the password twice; without a terminal, reads it from one line of standard input.

    Example: solve-api admin create ada
    """
    typed = _typed_password()
    made = _act_with_password("create-admin", accounts.add_admin, name, typed)
    say({"admin_id": made, "name": name.lower()}, f"{name.lower()} can log in now", as_json)


@admin_commands.command("list")
def list_admins(as_json: Json = False) -> None:
    """List the admins, their sessions and tokens.

    Example: solve-api admin list
    """
    found = [asdict(one) for one in _act("list-admins", accounts.admins)]
    columns = ("name", "created_at", "password_changed_at", "disabled_at", "sessions", "tokens")
    _list(found, columns, "no admins; create one with: solve-api admin create NAME", as_json)


@admin_commands.command()
def password(name: Name, as_json: Json = False) -> None:
    """Change a password, and end all sessions.

    Asks for it as `create` does.

    Example: solve-api admin password ada
    """
    typed = _typed_password()
    ended = _act_with_password("change-password", accounts.set_password, name, typed)
    say({"sessions_ended": ended}, f"{name.lower()} has a new password; sessions ended: {ended}", as_json)


@admin_commands.command()
def disable(name: Name, as_json: Json = False) -> None:
    """Disable an admin, their sessions and tokens.

    The activity log keeps the name.

    Example: solve-api admin disable ada
    """
    ended = _act("disable-admin", lambda db: accounts.disable(db, name), name)
    say({"sessions_ended": ended}, f"{name.lower()} is disabled; sessions ended: {ended}", as_json)


@admin_commands.command()
def enable(name: Name, as_json: Json = False) -> None:
    """Undo disable.

    The password works again, and so do tokens that were not revoked.

    Example: solve-api admin enable ada
    """
    _act("enable-admin", lambda db: accounts.enable(db, name), name)
    say({"name": name.lower()}, f"{name.lower()} can log in again", as_json)


@admin_commands.command()
def unlock(name: Name, as_json: Json = False) -> None:
    """Unlock a name after wrong passwords.

    It can log in at once, before the lock ends by itself.

    Example: solve-api admin unlock ada
    """
    was = _act("unlock", lambda db: lockouts.unlock(db, accounts.name_of(name), now()), name)
    say({"was_locked": was}, f"{name.lower()} {'is unlocked' if was else 'was not locked'}", as_json)


@admin_commands.command("logout-everywhere")
def logout_everywhere(name: Name, as_json: Json = False) -> None:
    """End all sessions of an admin.

    Example: solve-api admin logout-everywhere ada
    """

    async def end(database: Connection) -> int:
        return await sessions.end_all_sessions(database, await accounts.admin_id_of(database, name))

    ended = _act("logout-everywhere", end, name)
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
    raw, made = _act("create-token", make, name, detail)
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
    found = [one.model_dump() for one in _act("list-tokens", tokens.tokens)]
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
    ended = _act("revoke-token", lambda db: tokens.revoke(db, token_id, now()), str(token_id))
    say(ended.model_dump(), f"token {token_id} of {ended.admin} ({ended.label}) is revoked", as_json)


@admin_commands.command("activity")
def list_activity(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=audit.ROWS_MAX, help="How many rows.")] = 50,
    as_json: Json = False,
) -> None:
    """Show who did what, newest first.

    Example: solve-api admin activity -n 20
    """
    found = [
        {**one.model_dump(), "outcome": one.outcome}
        for one in _act("list-activity", lambda db: audit.latest(db, limit))
    ]
    columns = ("at", "who", "via", "action", "outcome", "detail", "client", "request_id")
    _list(found, columns, "no activity yet", as_json)


def _typed_password() -> Typed:
    """As typed twice. Never an argument: those are in the shell's history and in the list of processes."""
    try:
        if sys.stdin is None or not sys.stdin.isatty():
            line = input_line(PASSWORD_LINE_BYTES)
            return line, line
        return getpass.getpass("Password: "), getpass.getpass("Confirm password: ")
    except UnicodeDecodeError:
        return InputUnusable("what was typed is not text in the terminal's encoding; type the password again")
    except InputUnusable as error:
        return error


def _confirmed(typed: Typed) -> str:
    if isinstance(typed, InputUnusable):
        raise typed
    if typed[0] != typed[1]:
        raise PasswordRefused("the two passwords differ; type the same one twice")
    return typed[0]


def _act(action: str, ask: Ask, name: str = "", detail: dict[str, Any] | None = None) -> Any:
    """Does it and records it, both or neither. What is refused is recorded as such."""

    async def prepared() -> Ask:
        return ask

    return _recorded(action, prepared, name, detail or {})


def _act_with_password(
    action: str, ask: Callable[[Connection, str, str], Awaitable[Any]], name: str, typed: Typed
) -> Any:
    """As `_act`, with the hash of a new password."""

    async def prepared() -> Ask:
        password_hash = await accounts.new_hash(name, _confirmed(typed))
        return lambda database: ask(database, name, password_hash)

    return _recorded(action, prepared, name, {})


def _recorded(action: str, prepare: Callable[[], Awaitable[Ask]], name: str, detail: dict[str, Any]) -> Any:
    settings = ApiSettings()
    configure_logs(settings.log_level, settings.log_format)
    actor, claims = Actor(system_user(), "cli"), {"claimed": claimed_users()}

    async def work() -> Any:
        async with command_session(settings) as database:
            try:
                ask = await prepare()
                async with transaction(database):
                    done = await ask(database)
                    await audit.record(database, actor, action, {**await _about(database, name), **detail, **claims})
                    return done
            except AuditRefused:
                raise
            except Exception as error:
                await _record_failure(database, actor, action, name, _kept(detail) | claims, error)
                raise

    return run_async(work)


async def _record_failure(
    database: Connection, actor: Actor, action: str, name: str, detail: dict[str, Any], error: Exception
) -> None:
    refused = isinstance(error, SolveCountsError)
    # the connection may be why it failed, and nothing was done: the first error is the one to report
    with suppress(AuditRefused, *DATABASE_ERRORS):
        about = await _about(database, name)
        why = {"error": type(error).__name__ if not refused or _is_hidden(name, about) else str(error)}
        await audit.record(database, actor, action, about | detail | why, audit.REFUSED if refused else audit.FAILED)


async def _about(database: Connection, name: str) -> dict[str, Any]:
    return {"about": await accounts.kept_name(database, name)} if name else {}


def _kept(detail: dict[str, Any]) -> dict[str, Any]:
    """Of what was refused, without a label that may be a secret."""
    return {name: one for name, one in detail.items() if name != "label" or accounts.seems_name(one)}


def _is_hidden(name: str, about: dict[str, Any]) -> bool:
    """Whether an error that quotes the name may quote a secret."""
    return bool(name) and about["about"] != name.lower()


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
        shown = {name: one for name, one in value.items() if one not in (None, {}, [])}
        value = "; ".join(f"{name.replace('_', ' ')}: {_text(one)}" for name, one in shown.items())
    return " ".join(value) if isinstance(value, tuple) else str(value)
