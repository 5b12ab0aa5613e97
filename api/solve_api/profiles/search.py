"""Finds users by the beginning of a name or an id, or by a whole one, in any capitals and any Unicode form.

Few matches are ranked as they are now. Of many, only those are ranked who had solved most when blocks were made; the
answer says when that was.
"""

from datetime import UTC, datetime

import asyncpg

from solve_api.profiles.bodies import UserList, UserSummary
from solve_api.profiles.keyset import cursor_of, place_of
from solve_api.profiles.search_blocks import SEARCH_SQL, SearchBlocks

FEW_KEYS = 1_000
BEST_OF_MANY = 100
EXACT_MAX = 100
SOLVED_MAX = 2**31 - 1


async def search(pool: asyncpg.Pool, blocks: SearchBlocks, text: str, limit: int, cursor: str | None) -> UserList:
    """A page of the users whose name or id starts with this text. Raises CursorRefused and asyncpg's errors."""
    place = place_of(cursor, 0, SOLVED_MAX) if cursor else (None, None)
    now = datetime.now(UTC)  # taken before the read
    rows = await pool.fetch(SEARCH_SQL["search"], text, *place, limit + 1, FEW_KEYS, BEST_OF_MANY)
    about = rows[0]
    if about["is_stale"]:
        blocks.renew()
    users = [_summary(row) for row in rows if row["user_id"] is not None]
    more, users = len(users) > limit, users[:limit]
    return UserList(
        users=users,
        more=more or about["is_many"],
        next_cursor=cursor_of(users[-1].problems_solved, users[-1].user_id) if more else None,
        complete=not about["is_many"] or about["as_of"] is not None,
        as_of=about["as_of"] or now,
    )


async def users_named(pool: asyncpg.Pool, username: str, limit: int) -> UserList:
    """Everybody with exactly this name; an empty list is not an error."""
    now = datetime.now(UTC)
    rows = await pool.fetch(SEARCH_SQL["users_named"], username, limit + 1)
    users = [_summary(row) for row in rows]
    return UserList(users=users[:limit], more=len(users) > limit, next_cursor=None, complete=True, as_of=now)


async def users_exactly(pool: asyncpg.Pool, text: str) -> list[UserSummary]:
    """Some of those whose name or id is this text, in any capitals: first who has just this id, then this name."""
    return [_summary(row) for row in await pool.fetch(SEARCH_SQL["users_exactly"], text, EXACT_MAX)]


def _summary(row: asyncpg.Record) -> UserSummary:
    return UserSummary(**{name: row[name] for name in UserSummary.model_fields})
