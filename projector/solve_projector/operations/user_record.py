"""What do the two stores say, side by side? The board and one user, for people and for machines."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from solve_projector.domain.rule import whole_seconds
from solve_projector.errors import LeaderboardUnavailable, UserUnknown
from solve_projector.leaderboard.board import BoardRow, Leaderboard
from solve_runtime.sql import queries

USER_RECORD_SQL = queries("solve_projector.operations", "user_record")


@dataclass(frozen=True, slots=True)
class Place:
    """One place of the board in both stores; `redis` is None where Redis has somebody else there, or nobody."""

    rank: int
    user_id: str
    username: str
    problems_solved: int
    last_solved_at: datetime
    redis: BoardRow | None

    @property
    def agrees(self) -> bool:
        """Whether Redis shows the same user with the same count and time at this place."""
        return self.redis is not None and (
            self.redis.rank,
            self.redis.problems_solved,
            whole_seconds(self.redis.last_solved_at),
        ) == (self.rank, self.problems_solved, whole_seconds(self.last_solved_at))


async def top(pool: asyncpg.Pool, board: Leaderboard, limit: int) -> tuple[list[Place], str | None]:
    """The first places, and why Redis could not be asked (None where it could)."""
    rows = await pool.fetch(USER_RECORD_SQL["top_users"], limit)
    try:
        cached, problem = {row.user_id: row for row in await board.top(limit)}, None
    except LeaderboardUnavailable as error:
        cached, problem = {}, str(error)
    places = [
        Place(
            rank,
            row["user_id"],
            row["username"],
            row["problems_solved"],
            row["last_solved_at"],
            cached.get(row["user_id"]),
        )
        for rank, row in enumerate(rows, 1)
    ]
    return places, problem


async def user_record(pool: asyncpg.Pool, board: Leaderboard, user_id: str) -> dict[str, Any]:
    """Everything both stores have of one user. Raises UserUnknown; parked events are named in its message."""
    async with pool.acquire() as connection:
        row = await connection.fetchrow(USER_RECORD_SQL["user_record"], user_id)
        parked = await connection.fetchval("SELECT count(*) FROM parked_events WHERE user_id = $1", user_id)
        if row is None:
            waiting = f"; {parked} events are parked until the log or the site registers them" if parked else ""
            raise UserUnknown(f"there is no user {user_id!r} in PostgreSQL{waiting}")
        verdicts = await connection.fetch(USER_RECORD_SQL["user_verdicts"], user_id)
    try:
        cached: BoardRow | None = await board.place(user_id)
        problem = None
    except LeaderboardUnavailable as error:
        cached, problem = None, str(error)
    return {
        "postgresql": dict(row),
        "redis": cached._asdict() if cached else None,
        "redis_problem": problem,
        "parked_events": parked,
        "verdicts": [dict(verdict) for verdict in verdicts],
    }
