"""Logs admins in and out, for the API and the pages alike: rate-limited, counted and recorded."""

from dataclasses import dataclass

import asyncpg

from solve_api.errors import LoginRefused, PasswordNotConfirmed
from solve_api.http.rate_limits import LimitKind, RateLimits
from solve_api.identity import audit, lockouts, sessions
from solve_api.identity.accounts import NAME, Account, account_of, rehash
from solve_api.identity.actors import Caller, Visitor
from solve_api.identity.passwords import is_outdated, is_right, is_too_long, reserve_check
from solve_api.identity.sessions import now
from solve_api.settings import ApiSettings


@dataclass(frozen=True, slots=True)
class Identity:
    """What every login needs: the tables of the admins, the settings and the rate limits."""

    pool: asyncpg.Pool
    settings: ApiSettings
    limits: RateLimits


async def log_in(identity: Identity, visitor: Visitor, typed: str, password: str) -> str:
    """Opens a session and returns its id for the cookie; an older session of this browser ends.

    An unknown name, a wrong password, a locked and a disabled admin get the same answer in about the same time, so
    that nobody learns who is an admin. Raises LoginRefused, TooManyRequests, PasswordsBusy.
    """
    await identity.limits.spend(LimitKind.LOGIN, visitor.client)
    name = typed.strip().lower()
    session_id = None
    possible = NAME.fullmatch(name) is not None
    with reserve_check(within_session=False):
        usable = possible and not is_too_long(password)
        if usable and await lockouts.may_try(identity.pool, identity.settings, name, now()):
            session_id = await _try(identity, visitor, name, password)
        else:
            await is_right("", None)
    # a text that cannot be a name is not recorded: it may be a password typed into the wrong field
    actor = visitor.acting_as(name if possible else "(not a valid name)", "password")
    await audit.record(identity.pool, actor, "login", result="refused" if session_id is None else "done")
    if session_id is None:
        raise login_refused()
    return session_id


def login_refused() -> LoginRefused:
    """The same error whatever the reason."""
    return LoginRefused(
        "wrong name or password, or the name is locked after too many attempts; check both, wait a few minutes, "
        "or ask the operator to run: solve-api admin unlock"
    )


async def log_out(identity: Identity, caller: Caller) -> None:
    """Ends this browser's session."""
    await sessions.end_session(identity.pool, caller.visitor.session_id)
    await audit.record(identity.pool, caller.actor, "logout")


async def confirm(identity: Identity, caller: Caller, password: str) -> Account:
    """Checks that the admin is present, before anything that outlives the session.

    Raises PasswordNotConfirmed, TooManyRequests, PasswordsBusy.
    """
    await identity.limits.spend(LimitKind.LOGIN, caller.actor.client)
    attempts = lockouts.within_session(caller.name)
    with reserve_check(within_session=True):
        if not is_too_long(password) and await lockouts.may_try(identity.pool, identity.settings, attempts, now()):
            account = await account_of(identity.pool, caller.name)
            if await is_right(password, account.password_hash if account else None) and account:
                await lockouts.clear(identity.pool, attempts)
                return account
    await audit.record(identity.pool, caller.actor, "confirm-password", result="refused")
    raise PasswordNotConfirmed(
        "this is not your current password, or it is locked after too many attempts; "
        "enter your own password, or wait a few minutes"
    )


async def _try(identity: Identity, visitor: Visitor, name: str, password: str) -> str | None:
    account = await account_of(identity.pool, name)
    usable = account is not None and not account.disabled
    right = await is_right(password, account.password_hash if account and usable else None)
    if account is None or not right:
        return None
    if visitor.session_id:
        await sessions.end_session(identity.pool, visitor.session_id)
    if is_outdated(account.password_hash):
        await rehash(identity.pool, account, password)
    opened = await sessions.open_session(identity.pool, identity.settings, account, visitor.user_agent, now())
    if opened is not None:
        await lockouts.clear(identity.pool, name)
    return opened
