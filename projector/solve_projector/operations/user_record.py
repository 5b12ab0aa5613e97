"""The first users, and one user's record, as PostgreSQL and as Redis have them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from solve_projector.domain.rule import whole_seconds
from solve_projector.errors import LeaderboardUnavailable, UserUnknown
from solve_projector.leaderboard.board import BoardRow, Leaderboard
from solve_runtime.sql import queries
from solve_runtime.text import readable

USER_RECORD_SQL = queries("solve_projector.operations", "user_record")


@dataclass(frozen=True, slots=True)
class Place:
    """One place of the board in PostgreSQL, and where Redis has this user; `redis` is None if it has them nowhere."""

    rank: int
    user_id: str
    username: str
    problems_solved: int
    last_solved_at: datetime
    redis: BoardRow | None

    @property
    def agrees(self) -> bool:
        """Whether Redis has this user at the same rank with the same count and time."""
        return self.redis is not None and (
            self.redis.rank,
            self.redis.problems_solved,
            whole_seconds(self.redis.last_solved_at),
        ) == (self.rank, self.problems_solved, whole_seconds(self.last_solved_at))


async def top_places(pool: asyncpg.Pool, board: Leaderboard, limit: int) -> tuple[list[Place], str | None]:
    """The first users in PostgreSQL, and what Redis has of just these; why, where Redis could not be asked."""
    rows = await pool.fetch(USER_RECORD_SQL["top_users"], limit)
    cached: dict[str, BoardRow] = {}
    problem = None
    try:
        # not the first of Redis: in an incident these users are further down there, and not absent
        cached = await board.rows_of([row["user_id"] for row in rows])
    except LeaderboardUnavailable as error:
        problem = str(error)
    return [Place(**row, redis=cached.get(row["user_id"])) for row in rows], problem


async def user_record(pool: asyncpg.Pool, board: Leaderboard, user_id: str) -> dict[str, Any]:
    """Everything that both stores have of one user. Raises UserUnknown, which counts their parked events."""
    async with pool.acquire() as connection:
        row = await connection.fetchrow(USER_RECORD_SQL["user_record"], user_id)
        parked = await connection.fetchval("SELECT count(*) FROM parked_events WHERE user_id = $1", user_id)
        if row is None:
            advice = f"parked events that wait for their registration: {parked}" if parked else "check the id"
            raise UserUnknown(f'there is no user "{readable(user_id)}" in PostgreSQL; {advice}')
        verdicts = await connection.fetch(USER_RECORD_SQL["user_verdicts"], user_id)
        losing = await connection.fetch(USER_RECORD_SQL["losing_verdicts"], user_id)
    try:
        cached = (await board.rows_of([user_id])).get(user_id)
        problem = None
    except LeaderboardUnavailable as error:
        cached, problem = None, str(error)
    return {
        "postgresql": dict(row),
        "redis": cached._asdict() if cached else None,
        "redis_problem": problem,
        "parked_events": parked,
        "verdicts": [dict(verdict) for verdict in verdicts],
        "losing_verdicts": [dict(verdict) for verdict in losing],
    }
