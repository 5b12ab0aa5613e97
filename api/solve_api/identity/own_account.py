"""Changes of an admin to their own account: sessions, password, tokens. Each commits with its audit row."""

from collections.abc import Collection

from solve_api.database import transaction
from solve_api.errors import TokenUnknown
from solve_api.identity import audit, sessions, tokens
from solve_api.identity.accounts import account_of, replace_password
from solve_api.identity.actors import Caller
from solve_api.identity.login import Identity, confirm, login_refused
from solve_api.identity.passwords import hashed_new
from solve_api.identity.sessions import OwnSession, now
from solve_api.identity.tokens import NewToken, TokenState


async def own_sessions(identity: Identity, caller: Caller) -> list[OwnSession]:
    """The admin's open sessions, most recently used first."""
    raw = caller.visitor.session_id
    return await sessions.sessions_of(identity.pool, identity.settings, caller.admin_id, raw, now())


async def end_sessions(identity: Identity, caller: Caller, session_ids: Collection[str], password: str) -> int:
    """Ends the named sessions of the admin; returns how many. Raises as `confirm` does."""
    await confirm(identity, caller, password)
    async with transaction(identity.pool) as database:
        ended = await sessions.end_sessions_of(database, caller.admin_id, session_ids)
        detail = {"session_ids": sorted(session_ids), "sessions_ended": ended}
        await audit.record(database, caller.actor, "end-sessions", detail)
    return ended


async def end_all_sessions(identity: Identity, caller: Caller, password: str) -> int:
    """Ends every session of the admin, this one included; returns how many. Raises as `confirm` does."""
    await confirm(identity, caller, password)
    async with transaction(identity.pool) as database:
        ended = await sessions.end_all_sessions(database, caller.admin_id)
        await audit.record(database, caller.actor, "logout-everywhere", {"sessions_ended": ended})
    return ended


async def change_own_password(identity: Identity, caller: Caller, password: str, new_password: str) -> str:
    """Ends every session of the admin and opens a new one for this browser; returns its id for the cookie.

    The change holds only if the confirmed password is still the current one and this session is still open: a
    password set by an operator, or an end of all sessions, that happened in the meantime stands. Tokens stay valid.
    Raises LoginRefused, PasswordRefused, and as `confirm` does.
    """
    confirmed = await confirm(identity, caller, password)
    password_hash = await hashed_new(new_password, caller.name)
    visitor = caller.visitor
    async with transaction(identity.pool) as database:
        ended = await replace_password(database, confirmed.admin_id, password_hash, confirmed.password_changed_at)
        if ended is None or sessions.hash_of(visitor.session_id) not in ended:
            raise login_refused()
        account = await account_of(database, caller.name)
        if account is None:
            raise login_refused()
        opened = await sessions.open_session(database, identity.settings, account, visitor.user_agent, now())
        if opened is None:
            raise login_refused()
        await audit.record(database, caller.actor, "change-password", {"sessions_ended": len(ended)})
    return opened


async def create_own_token(
    identity: Identity, caller: Caller, wanted: NewToken, password: str
) -> tuple[str, TokenState]:
    """Returns the token, which cannot be shown again, and its row. Raises TokenRefused, and as `confirm` does."""
    await confirm(identity, caller, password)
    async with transaction(identity.pool) as database:
        secret, token = await tokens.create_token(database, caller.admin_id, wanted, now())
        detail = {"token_id": token.token_id, "label": token.label, "scopes": list(token.scopes), "days": wanted.days}
        await audit.record(database, caller.actor, "create-token", detail)
    return secret, token


async def revoke_own_token(identity: Identity, caller: Caller, token_id: int) -> TokenState:
    """Revokes one of the admin's tokens; safe to repeat. Raises TokenUnknown."""
    async with transaction(identity.pool) as database:
        try:
            token = await tokens.revoke(database, token_id, now(), caller.admin_id)
        except TokenUnknown:  # its message names a command, for operators
            raise TokenUnknown(f"you have no token {token_id}; see the list of your tokens") from None
        await audit.record(database, caller.actor, "revoke-token", {"token_id": token_id, "label": token.label})
    return token
