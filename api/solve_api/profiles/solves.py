"""Reads all solves of a user, page by page."""

from datetime import UTC, datetime, timedelta

import asyncpg

from solve_api.profiles.bodies import SolveList
from solve_api.profiles.keyset import cursor_of, place_of
from solve_api.profiles.profile import PROFILE_SQL, gone, solve_fields, unknown

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
FIRST, LAST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // TICK, (datetime.max.replace(tzinfo=UTC) - EPOCH) // TICK


async def solves(pool: asyncpg.Pool, user_id: str, limit: int, cursor: str | None) -> SolveList:
    """A page of a user's solves, newest first. Raises UserUnknown, UserGone, CursorRefused and asyncpg's errors."""
    at, problem_id = _place(cursor) if cursor else (None, None)
    now = datetime.now(UTC)  # taken before the read
    rows = await pool.fetch(PROFILE_SQL["solves_of"], user_id, at, problem_id, limit + 1)
    if not rows:
        raise unknown(user_id)
    if rows[0]["removed"]:
        raise gone(user_id)
    shown = [row for row in rows if row["problem_id"] is not None]
    more, shown = len(shown) > limit, shown[:limit]
    last = shown[-1] if more else None
    return SolveList.model_validate(
        {
            "user_id": user_id,
            "username": rows[0]["username"],
            "problems_solved": rows[0]["problems_solved"],
            "solves": [solve_fields(*list(row)[3:]) for row in shown],
            "next_cursor": last and cursor_of((last["submitted_at"] - EPOCH) // TICK, last["problem_id"]),
            "as_of": now,
        }
    )


def _place(cursor: str) -> tuple[datetime, str]:
    number, problem_id = place_of(cursor, FIRST, LAST)
    return EPOCH + number * TICK, problem_id
