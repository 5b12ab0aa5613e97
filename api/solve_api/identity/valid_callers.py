"""Asks at once which of many callers are still who they were: their session or token is valid, their admin enabled."""

from collections.abc import Collection
from datetime import datetime

from solve_api.database import Database
from solve_api.identity.actors import Caller
from solve_api.identity.sessions import valid_sessions
from solve_api.identity.tokens import valid_tokens
from solve_api.settings import ApiSettings


async def still_valid(
    database: Database, settings: ApiSettings, callers: Collection[Caller], now: datetime
) -> set[Caller]:
    """Those that a new request would find logged in. This is no use of their session, which may end meanwhile."""
    sessions = await valid_sessions(
        database, settings, {one.visitor.session_id for one in callers if one.token_id is None}, now
    )
    tokens = await valid_tokens(database, {one.token_id for one in callers if one.token_id is not None}, now)
    return {
        one
        for one in callers
        if (one.visitor.session_id in sessions if one.token_id is None else one.token_id in tokens)
    }
