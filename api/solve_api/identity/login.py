"""How does an admin get in and out? The one way for the API and for the pages, limited, counted and written down."""

from fastapi import Request

from solve_api.http.problems import Problem
from solve_api.http.public import address_of, request_id
from solve_api.http.rate_limits import Kind
from solve_api.identity import lockouts, sessions
from solve_api.identity.accounts import NAME, Account, account_of, rehash
from solve_api.identity.audit import Entry, record
from solve_api.identity.authentication import Caller, now, raw_session
from solve_api.identity.passwords import a_place, is_outdated, is_right, is_too_long
from solve_api.stores import stores_of


async def log_in(request: Request, typed: str, password: str) -> str:
    """A new session's id, for the cookie; an older one of this browser ends.

    One answer for an unknown name, a wrong password, a locked and a disabled admin, in about the same time: it tells
    nobody who is an admin. Raises Problem 401 (log-in-refused), 429, PasswordsBusy.
    """
    await request.app.state.rate_limits.spend(Kind.LOGIN, address_of(request))
    stores = stores_of(request)
    name = typed.strip().lower()
    raw = None
    known = NAME.fullmatch(name) is not None
    with a_place(inside=False):
        if not known or is_too_long(password):
            await is_right("", None)
        elif await lockouts.may_try(stores.pool, stores.settings, name, now()):
            raw = await _tried(request, name, password)
        else:
            await is_right("", None)
    result = "refused" if raw is None else "done"
    # what no admin can be named is not kept: it may be a password, typed into the wrong field
    who = name if known else "(no name of an admin)"
    await record(stores.pool, Entry(who, "password", "log-in", {}, result, request_id(), address_of(request)))
    if raw is None:
        raise refused_log_in()
    return raw


def refused_log_in() -> Problem:
    """The same whatever the reason."""
    return Problem(
        401,
        "log-in-refused",
        "The log-in was refused",
        "The name or the password is wrong, or the name is locked for a while after too many tries; "
        "check both, wait some minutes, or ask the operator for: solve-api admin unlock",
        headers={"WWW-Authenticate": "Bearer"},
    )


async def log_out(request: Request, caller: Caller) -> None:
    """Ends this browser's session."""
    stores = stores_of(request)
    if raw := raw_session(request):
        await sessions.end_session(stores.pool, raw)
    await record(stores.pool, Entry(caller.name, caller.via, "log-out", {}, "done", request_id(), address_of(request)))


async def confirm(request: Request, caller: Caller, password: str) -> Account:
    """That the admin themselves sits there, before what outlives the session.

    Raises Problem 401, 429, PasswordsBusy.
    """
    await request.app.state.rate_limits.spend(Kind.LOGIN, address_of(request))
    stores = stores_of(request)
    guesses = lockouts.inside(caller.name)
    with a_place(inside=True):
        if not is_too_long(password) and await lockouts.may_try(stores.pool, stores.settings, guesses, now()):
            account = await account_of(stores.pool, caller.name)
            if await is_right(password, account.password_hash if account else None) and account:
                await lockouts.clear(stores.pool, guesses)
                return account
    await record(
        stores.pool,
        Entry(caller.name, caller.via, "confirm-password", {}, "refused", request_id(), address_of(request)),
    )
    raise Problem(
        401,
        "log-in-refused",
        "The password was refused",
        "It is not this admin's password, or the name is locked for a while after too many tries; "
        "try your own once more, or wait some minutes.",
    )


async def _tried(request: Request, name: str, password: str) -> str | None:
    stores = stores_of(request)
    account = await account_of(stores.pool, name)
    usable = account is not None and not account.disabled
    right = await is_right(password, account.password_hash if account and usable else None)
    if account is None or not right:
        return None
    if old := raw_session(request):
        await sessions.end_session(stores.pool, old)
    if is_outdated(account.password_hash):
        await rehash(stores.pool, account, password)
    client = request.headers.get("user-agent", "")
    raw = await sessions.open_session(stores.pool, stores.settings, account, client, now())
    if raw is not None:
        await lockouts.clear(stores.pool, name)
    return raw
