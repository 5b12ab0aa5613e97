"""Logs admins in and out, for the API and the pages alike: rate-limited, counted, and recorded or not done."""

from dataclasses import dataclass

import asyncpg

from solve_api.database import transaction
from solve_api.errors import LoginRefused, PasswordNotConfirmed
from solve_api.http.rate_limits import LimitKind, RateLimits
from solve_api.identity import audit, lockouts, sessions
from solve_api.identity.accounts import NAME, NO_NAME, Account, account_of, rehash, seems_name
from solve_api.identity.actors import Caller, Visitor
from solve_api.identity.passwords import hashed, is_outdated, is_right, is_too_long, reserve_check
from solve_api.identity.refusals import UNREAD, Refusals
from solve_api.identity.sessions import now
from solve_api.settings import ApiSettings
from solve_projector.store.postgresql import Connection

CONFIRM = "confirm-password"


@dataclass(frozen=True, slots=True)
class Identity:
    """What every login needs: the tables of the admins, the settings, the rate limits and the counts of refusals."""

    pool: asyncpg.Pool
    settings: ApiSettings
    limits: RateLimits
    refusals: Refusals


async def log_in(identity: Identity, visitor: Visitor, typed: str, password: str) -> str:
    """Opens a session and returns its id for the cookie; an older session of this browser ends.

    An unknown name, a wrong password, a locked and a disabled admin get the same answer in about the same time, so
    that nobody learns who is an admin. Raises LoginRefused, TooManyRequests, PasswordsBusy, AuditRefused.
    """
    with identity.refusals.counting(visitor.acting_as(UNREAD, "password"), "login"):
        await identity.limits.spend(LimitKind.LOGIN, visitor.client)
        with reserve_check(within_session=False):
            return await _checked_log_in(identity, visitor, typed.strip(), password)


async def _checked_log_in(identity: Identity, visitor: Visitor, typed: str, password: str) -> str:
    account = rehashed = None
    name = typed.lower()
    possible = NAME.fullmatch(name) is not None
    known = await account_of(identity.pool, name if possible else "")
    usable = possible and not is_too_long(password)
    if usable and await lockouts.may_try(identity.pool, identity.settings, name, now()):
        account = await _if_right(known, password)
        if account and is_outdated(account.password_hash):
            rehashed = await hashed(password)
    else:
        await is_right("", None)
    # a text that seems no name is not recorded: it may be a password typed into the wrong field
    actor = visitor.acting_as(name if known or seems_name(typed) else NO_NAME, "password")
    async with transaction(identity.pool) as database:
        session_id = await _open(database, identity, visitor, account, rehashed) if account else None
        await audit.record(database, actor, "login", result=audit.DONE if session_id else audit.REFUSED)
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
    """Ends this browser's session. Raises AuditRefused."""
    async with transaction(identity.pool) as database:
        await sessions.end_session(database, caller.visitor.session_id)
        await audit.record(database, caller.actor, "logout")


async def confirm(identity: Identity, caller: Caller, password: str) -> Account:
    """Checks that the admin is present, before anything that outlives the session.

    Raises PasswordNotConfirmed, TooManyRequests, PasswordsBusy.
    """
    attempts = lockouts.within_session(caller.name)
    with identity.refusals.counting(caller.actor, CONFIRM):
        await identity.limits.spend(LimitKind.LOGIN, caller.actor.client)
        with reserve_check(within_session=True):
            if not is_too_long(password) and await lockouts.may_try(identity.pool, identity.settings, attempts, now()):
                account = await account_of(identity.pool, caller.name)
                if await is_right(password, account.password_hash if account else None) and account:
                    await lockouts.clear(identity.pool, attempts)
                    return account
    await audit.record(identity.pool, caller.actor, CONFIRM, result=audit.REFUSED)
    raise PasswordNotConfirmed(
        "this is not your current password, or it is locked after too many attempts; "
        "enter your own password, or wait a few minutes"
    )


async def _if_right(account: Account | None, password: str) -> Account | None:
    usable = account is not None and not account.disabled
    right = await is_right(password, account.password_hash if account and usable else None)
    return account if right else None


async def _open(
    database: Connection, identity: Identity, visitor: Visitor, account: Account, rehashed: str | None
) -> str | None:
    """Within the caller's transaction. The account is locked first, as by a change of its password."""
    if rehashed is not None:
        await rehash(database, account, rehashed)
    opened = await sessions.open_session(database, identity.settings, account, visitor.user_agent, now())
    if opened is not None:
        if visitor.session_id:
            await sessions.end_session(database, visitor.session_id)
        await lockouts.clear(database, account.name)
    return opened
