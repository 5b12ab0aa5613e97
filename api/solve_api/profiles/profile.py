"""Reads a profile: one query to PostgreSQL, so that count, days and solves belong together, and the rank."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from solve_api.errors import ZoneUnknown
from solve_api.http.time_zones import postgresql_name
from solve_api.profiles.bodies import Profile
from solve_api.profiles.streaks import streaks
from solve_projector.errors import UserUnknown
from solve_runtime.sql import queries

PROFILE_SQL = queries("solve_api.profiles", "profile")

RECENT_SOLVES = 20
RankOf = Callable[[str, int], Awaitable[int | None]]


async def profile(pool: asyncpg.Pool, rank_of: RankOf, user_id: str, zone: ZoneInfo) -> Profile:
    """One user's profile, with days in `zone`. Raises UserUnknown, ZoneUnknown and asyncpg's errors."""
    now = datetime.now(UTC)  # taken before the read, which includes everything committed by then
    try:
        row = await pool.fetchrow(PROFILE_SQL["profile"], user_id, postgresql_name(zone), RECENT_SOLVES)
    except asyncpg.InvalidParameterValueError as error:
        # some systems package the old names of zones apart (Debian's tzdata-legacy)
        raise ZoneUnknown(f"PostgreSQL does not know the time zone {zone.key}; use its newer name") from error
    if row is None:
        raise unknown(user_id)
    counted = row["problems_solved"]
    streak = streaks(row["days"], now.astimezone(zone).date())
    return Profile.model_validate(  # at once: a model for each of hundreds of days is slow
        {
            **row,
            "rank": await rank_of(user_id, counted) if counted else None,
            "current_streak": streak.current,
            "longest_streak": streak.longest,
            "timezone": zone.key,
            "days": [{"day": day, "solved": n} for day, n in zip(row["days"], row["solved_of_days"], strict=True)],
            "languages": [
                {"language": name, "solved": n}
                for name, n in zip(row["languages"], row["solved_of_languages"], strict=True)
            ],
            "recent_solves": [solve_fields(*one) for one in row["recent"]],
            "as_of": now,
        }
    )


def solve_fields(problem_id: str, submission_id: str, at: datetime, language: str, contest_id: str) -> dict[str, Any]:
    """The fields of a Solve."""
    return {
        "problem_id": problem_id,
        "submission_id": submission_id,
        "submitted_at": at,
        "language": language or None,
        "contest_id": contest_id or None,
    }


def unknown(user_id: str) -> UserUnknown:
    """The error for an unknown id."""
    message = f"there is no user {user_id}; to find a user by name, use /api/users?q="
    return UserUnknown(message).about(user_id)
