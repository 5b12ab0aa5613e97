"""What does one profile show? One read of PostgreSQL, and the rank."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import asyncpg

from api.models import Day, LanguageCount, Profile, Solve, UserList, UserSummary
from api.statements import statement
from api.streaks import streaks
from projector.errors import UserUnknown

RECENT_SOLVES = 20
RankOf = Callable[[str, int], Awaitable[int | None]]


async def profile(pool: asyncpg.Pool, rank_of: RankOf, user_id: str, zone: ZoneInfo) -> Profile:
    """Everything of one user; days begin in `zone`. Raises UserUnknown and asyncpg's errors."""
    now = datetime.now(UTC)  # before the read: whatever was committed until then is in it
    row = await pool.fetchrow(statement("profile"), user_id, zone.key, RECENT_SOLVES)
    if row is None:
        raise unknown(user_id)
    counted = row["problems_solved"]
    run = streaks(row["days"], now.astimezone(zone).date())
    return Profile(
        user_id=user_id,
        username=row["username"],
        problems_solved=counted,
        last_solved_at=row["last_solved_at"],
        registered_at=row["registered_at"],
        rank=await rank_of(user_id, counted) if counted else None,
        current_streak=run.current,
        longest_streak=run.longest,
        timezone=zone.key,
        days=[Day(day=day, solved=n) for day, n in zip(row["days"], row["solved_of_days"], strict=True)],
        languages=[
            LanguageCount(language=name, solved=n)
            for name, n in zip(row["languages"], row["solved_of_languages"], strict=True)
        ],
        recent_solves=[
            Solve(problem_id=p, submission_id=s, submitted_at=at, language=language or None, contest_id=contest or None)
            for p, s, at, language, contest in row["recent"]
        ],
        version=row["version"],
        as_of=now,
    )


async def users_named(pool: asyncpg.Pool, username: str, limit: int) -> UserList:
    """Everybody who has exactly this name; nobody is no error."""
    rows = await pool.fetch(statement("users_named"), username, limit + 1)
    return UserList(users=[UserSummary(**dict(row)) for row in rows[:limit]], more=len(rows) > limit)


def unknown(user_id: str) -> UserUnknown:
    """The error for an id that nobody has."""
    return UserUnknown(f"there is no user {user_id!r}; look a name up with /api/users?username=")
