"""How does an admin look after their own account? Their sessions and their password, each change with its audit row."""

from collections.abc import Collection

from fastapi import Request

from solve_api.identity import audit, sessions
from solve_api.identity.accounts import account_of, replace_password
from solve_api.identity.authentication import Caller, now, raw_session
from solve_api.identity.database import transaction
from solve_api.identity.login import confirm, refused_log_in
from solve_api.identity.passwords import hashed_new
from solve_api.operations.repairs import entry_of
from solve_api.stores import stores_of


async def end_sessions(request: Request, caller: Caller, session_ids: Collection[str], password: str) -> int:
    """Ends those of their sessions that are named; how many there were. Raises Problem 401, 429."""
    await confirm(request, caller, password)
    async with transaction(stores_of(request).pool) as database:
        ended = await sessions.end_sessions_of(database, caller.admin_id, session_ids)
        detail = {"session_ids": sorted(session_ids), "sessions_ended": ended}
        await audit.record(database, entry_of(request, caller, "end-sessions", detail, "done"))
    return ended


async def end_all_sessions(request: Request, caller: Caller, password: str) -> int:
    """Ends every session of theirs, this one too; how many. Raises Problem 401, 429."""
    await confirm(request, caller, password)
    async with transaction(stores_of(request).pool) as database:
        ended = await sessions.end_all_sessions(database, caller.admin_id)
        detail = {"sessions_ended": ended}
        await audit.record(database, entry_of(request, caller, "log-out-everywhere", detail, "done"))
    return ended


async def renew_password(request: Request, caller: Caller, password: str, new_password: str) -> str:
    """Ends every session of theirs and opens a new one for this browser: its id, for the cookie.

    Only instead of the password that was confirmed, and only from a session that is still open: an operator's new
    password, or an end of all sessions, that came meanwhile stays as it is. Tokens stay.
    Raises Problem 401, Problem 429, PasswordRefused, PasswordsBusy.
    """
    confirmed = await confirm(request, caller, password)
    password_hash = await hashed_new(new_password, caller.name)
    stores = stores_of(request)
    client = request.headers.get("user-agent", "")
    async with transaction(stores.pool) as database:
        ended = await replace_password(database, confirmed.admin_id, password_hash, confirmed.password_changed_at)
        if ended is None or sessions.hash_of(raw_session(request) or "") not in ended:
            raise refused_log_in()
        account = await account_of(database, caller.name)
        raw = await sessions.open_session(database, stores.settings, account, client, now()) if account else None
        if raw is None:
            raise refused_log_in()
        await audit.record(
            database, entry_of(request, caller, "change-password", {"sessions_ended": len(ended)}, "done")
        )
    return raw
